package storm

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nodisk/nodisk/integration/lab"
)

func TestIsOfItsSeed(t *testing.T) {
	if diff := cmp.Diff(Cases(7, 50), Cases(7, 50)); diff != "" {
		t.Errorf("a seed has two storms (-one +other):\n%s", diff)
	}
	if diff := cmp.Diff(Cases(7, 50)[31], caseAt(7, 31)); diff != "" {
		t.Errorf("a case alone is another than in its storm (-storm +alone):\n%s", diff)
	}
	if cmp.Equal(Cases(7, 12), Cases(8, 12),
		cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Seed" }, cmp.Ignore())) {
		t.Error("two seeds have one storm")
	}
}

// Every fault comes once in each run of twelve, and every case can end well.
func TestCases(t *testing.T) {
	for seed := range uint64(200) {
		had := map[Fault]int{}
		for _, c := range Cases(seed, 3*int(LastFault)) {
			had[c.Fault]++
			away := c.Fault.keepsRootAway()
			switch {
			case away && c.OnFail == "retry" && c.Heals == 0:
				t.Errorf("seed %d: %v tries forever, and nobody mends the fault: %s", seed, c, c.Describe())
			case c.Fault == NFSKilled && c.Root != lab.RootNFS3, c.Fault < PortalGone && c.Root != lab.RootISCSI,
				c.Fault == DHCPGone && c.Static:
				t.Errorf("seed %d: %v has nothing to break: %s", seed, c, c.Describe())
			case away && c.Deadline > 30*time.Second, !away && c.Fault != WorkerStopped && c.Deadline < time.Minute:
				t.Errorf("seed %d: %v: deadline %v", seed, c, c.Deadline)
			case c.Fault == DriverHangs && c.Heals%time.Second != 0:
				t.Errorf("seed %d: %v: the module takes seconds, not %v", seed, c, c.Heals)
			}
		}
		for f := Fault(1); f <= LastFault; f++ {
			if had[f] != 3 {
				t.Errorf("seed %d: %v came %d times, want 3", seed, f, had[f])
			}
		}
	}
}

func TestWords(t *testing.T) {
	for want, c := range map[string]Case{
		"ip=dhcp root=dhcp rdinit=/storm nodisk.onfail=retry nodisk.deadline=25s": {
			Fault: TargetKilled, Root: lab.RootISCSI, OnFail: "retry", Deadline: 25 * time.Second,
		},
		"ip={client}::{gateway}:{mask}:{name}::none netroot=iscsi:{server}::3260:1:{target} root=LABEL={label} " +
			"stall.probe_secs=100000 rdinit=/storm nodisk.onfail=halt nodisk.deadline=1m0s": {
			Fault: DriverHangs, Root: lab.RootISCSI, Static: true, OnFail: "halt", Deadline: time.Minute,
		},
		"ip=dhcp root=/dev/nfs nfsroot={server}:{export},vers=3,port={nfsport},mountport={mountport} " +
			"stall.probe_secs=7 rdinit=/storm nodisk.onfail=halt nodisk.deadline=1m0s": {
			Fault: DriverHangs, Heals: 7 * time.Second, Root: lab.RootNFS3, OnFail: "halt", Deadline: time.Minute,
		},
	} {
		if diff := cmp.Diff(want, c.words()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.Describe(), diff)
		}
	}
}
