package netsetup

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func FuzzParseTraces(f *testing.F) {
	f.Add("ip link set eth0 up\nip addr add 10.77.0.40/24 brd + dev eth0\nip route replace 0.0.0.0/0 via 10.77.0.1 dev eth0 onlink metric 101\n")
	f.Add("2: eth0\n10: usb0\nip link set ens3 up\n")
	f.Add("ip addr add 2001:db8::5/64 dev eth0\nip route replace ::/0 via fe80::1 dev eth0 metric 100\nip route replace 10.0.0.1/32 dev eth0\n")
	f.Fuzz(func(t *testing.T, text string) {
		traces, err := ParseTraces(text)
		if err != nil {
			return
		}
		again, err := ParseTraces(traces.String())
		if diff := cmp.Diff(traces.String(), again.String()); err != nil || diff != "" {
			t.Errorf("%v %s", err, diff)
		}
	})
}
