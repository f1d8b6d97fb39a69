package boot

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestVerdict(t *testing.T) {
	for _, v := range []Verdict{
		{Action: ActionSwitch, Root: "/sysroot", Argv: []string{"/sbin/init", "single", ""}},
		{Action: ActionStay, Argv: []string{"/sbin/init"}},
		{Action: ActionChain, Root: "/init.vendor", Argv: []string{"/init", "single"}},
		{Action: ActionAgain},
		{Action: ActionReboot},
		{Action: ActionPoweroff},
		{Action: ActionHalt},
		{Action: ActionShell},
		{Action: ActionShell, Argv: []string{"gave up after 15 s: network: no carrier on eth0"}},
	} {
		got, err := ParseVerdict(v.Encode())
		if diff := cmp.Diff(v, got); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", v, err, diff)
		}
	}
	for _, bad := range []string{"", "switch", "switch\x00/sysroot", "switch\x00/sysroot\x00", "switch\x00\x00/sbin/init\x00", "stay\x00\x00init\x00", "chain\x00\x00/init\x00", "chain\x00/init.vendor\x00", "dance\x00\x00"} {
		if v, err := ParseVerdict([]byte(bad)); err == nil {
			t.Errorf("ParseVerdict(%q) = %+v, want an error", bad, v)
		}
	}
}

func FuzzParseVerdict(f *testing.F) {
	f.Add(Verdict{Action: ActionSwitch, Root: "/r", Argv: []string{"/i", ""}}.Encode())
	f.Add([]byte("again\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseVerdict(b)
		if err != nil {
			return
		}
		again, err := ParseVerdict(v.Encode())
		if diff := cmp.Diff(v, again); diff != "" || err != nil {
			t.Errorf("round trip: %v (-first +second):\n%s", err, diff)
		}
	})
}
