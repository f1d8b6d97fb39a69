package netsetup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// timesOf counts a command.
func timesOf(commands []string, command string) int {
	return len(slices.DeleteFunc(slices.Clone(commands), func(s string) bool { return s != command }))
}

// An adapter that is registered anew takes its bond or its children with it, as its
// firmware's reset or a port that changes its type does: they are made again, before
// the network is up and when the boot goes by it.
func TestRunRegisteredAnew(t *testing.T) {
	for name, tt := range map[string]struct {
		line, made string
		device     string
		join       []string
	}{
		"bond":  {"bond=bond0:ib0:mode=1 ip=bond0:dhcp", "link add bond0 type bond mode active-backup miimon 100", "bond0", []string{"ib0"}},
		"child": {"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", "link add link ib0 name ib0.8001 type ipoib pkey 0x8001", "ib0.8001", []string{"ib0", "ib0.8001"}},
		"bond of a child": {"ib.pkey=ib0.8001 bond=bond0:ib0.8001:mode=1 ip=bond0:dhcp",
			"link add bond0 type bond mode active-backup miimon 100", "bond0", []string{"ib0", "ib0.8001"}},
		"port": {"ip=ib0:dhcp", "link set ib0 up", "ib0", []string{"ib0"}},
	} {
		for when, wait := range map[string]time.Duration{"before": 3 * time.Second, "after": 0} {
			t.Run(name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, rules := ibFabric(t, 4092)
					join := func() {
						for _, dev := range tt.join {
							<-time.After(time.Second)
							rules.join(dev, 2044)
						}
					}
					r := watched(t, tt.line+" nodisk.dhcp.clientid=guid", 40*time.Second, k, func() {
						<-time.After(time.Second)
						if wait == 0 { // it is up, then
							join()
							<-time.After(5 * time.Second)
						}
						rules.unregister("ib0")
						<-time.After(5 * time.Second)
						again := guidePort()
						again.Index = 77
						rules.port(again, 4092, false)
						<-time.After(2 * time.Second)
						join()
					})
					d, ok := rules.device(tt.device)
					if n := timesOf(r.commands, tt.made); r.err != nil || !ok || !d.Carrier || d.MTU != 2044 || n < 2 {
						t.Fatalf("%v, %v, %+v, made %d times\n%s\n%s", r.err, r.state, d, n, strings.Join(r.commands, "\n"), strings.Join(r.log, "\n"))
					}
					// The new interface has the address: it is given behind the second making.
					made, addr := -1, -1
					for i, s := range r.commands {
						switch s {
						case tt.made:
							made = i
						case "addr add 10.77.0.23/24 brd + dev " + tt.device:
							addr = i
						}
					}
					if addr < made {
						t.Errorf("%s", strings.Join(r.commands, "\n"))
					}
				})
			})
		}
	}
}
