package linux

import "testing"

func TestParseVersion(t *testing.T) {
	for release, want := range map[string]Version{
		"4.18.0-553.el8_10.x86_64": {4, 18}, "4.18.0": {4, 18}, "4.18": {4, 18}, "4.19.0-27-amd64": {4, 19},
		"5.4.0-216-generic": {5, 4}, "5.10.0-30-amd64": {5, 10}, "6.1.0-56-amd64": {6, 1}, "6.12.117+deb13-amd64": {6, 12},
		"6.16-amd64": {6, 16}, "6.19-rc3": {6, 19}, "7.2.13+deb14-amd64": {7, 2}, "6.10~rc7-amd64": {6, 10},
		"3.10.0-1160.el7.x86_64": {3, 10}, "2.6.32-754.el6.x86_64": {2, 6}, "10.100.1": {10, 100},
		"": {}, "6": {}, "6.": {}, "6.x": {}, "v6.1": {}, "x.1": {}, "-4.18": {}, "+4.18": {}, "4.-18": {}, "4.99999999999": {},
	} {
		got, ok := ParseVersion(release)
		if got != want || ok != (want != Version{}) {
			t.Errorf("%q: got %v, %v; want %v", release, got, ok, want)
		}
	}
}

func TestTooOld(t *testing.T) {
	for _, good := range []string{"4.18.0-553.el8_10.x86_64", "4.18", "4.20.1", "5.0", "6.1.0-56-amd64", "10.1", "mine", ""} {
		if err := TooOld(good); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
	for _, old := range []string{"4.17.19", "4.9.0-19-amd64", "4.14.336", "3.10.0-1160.el7.x86_64", "2.6.32"} {
		want := "kernel " + old + ": nodisk needs Linux 4.18 or newer: take a newer kernel, with its modules"
		if err := TooOld(old); err == nil || err.Error() != want {
			t.Errorf("%s: got %v, want %s", old, err, want)
		}
	}
}
