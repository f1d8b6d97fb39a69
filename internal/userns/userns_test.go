package userns

import "testing"

func TestPartial(t *testing.T) {
	for text, want := range map[string]bool{
		"         0          0 4294967295\n":                                  false,
		"         0       1000          1\n":                                  true, // unshare -r
		"         0       1000          1\n         1     100000     65536\n": true, // a rootless container
		"      1000       1000          1\n":                                  true,
		"":                                                                    true, // nobody is mapped yet
	} {
		if got := partial(text); got != want {
			t.Errorf("%q: %v", text, got)
		}
	}
}
