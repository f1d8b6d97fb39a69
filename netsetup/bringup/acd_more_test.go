package bringup

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// The same by the words, with what is told, done and kept.
func TestRunSeveralAddresses(t *testing.T) {
	const line = "ip=10.77.0.5:::24::eth0:none ip=10.77.0.6:::24::eth0:none ip=192.168.50.5:::24::eth0:none"
	for name, tt := range map[string]struct {
		line string
		used string
		want string
	}{
		"free":             {line, "", ""},
		"the first":        {line, "10.77.0.5", "10.77.0.5 is in use by 52:54:00:00:fe:99"},
		"the last":         {line, "192.168.50.5", "192.168.50.5 is in use by 52:54:00:00:fe:99"},
		"the last, unseen": {line + " nodisk.arp-probe=0", "192.168.50.5", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
				if tt.used != "" {
					k.Neighbours[addr(tt.used)] = other
				}
				r := try(t, tt.line, 15*time.Second, k, nil)
				var added []string
				for _, c := range r.commands {
					if strings.HasPrefix(c, "addr add ") {
						added = append(added, strings.Fields(c)[2])
					}
				}
				if tt.want != "" {
					if r.err == nil || !strings.Contains(r.err.Error(), tt.want) || added != nil {
						t.Errorf("%v, %v, %q", r.state, r.err, added)
					}
					return
				}
				all := []string{"10.77.0.5/24", "10.77.0.6/24", "192.168.50.5/24"}
				if diff := cmp.Diff(all, added); r.err != nil || diff != "" {
					t.Errorf("%v (-want +got):\n%s", r.err, diff)
				}
				if diff := cmp.Diff("eth0 "+strings.Join(all, " ")+" static", r.state.String()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}
