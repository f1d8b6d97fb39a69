package bringup

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// closesAfterFirst has the bond served as soon as eth0 has joined, and eth1 take that
// long to join: Up returns in the middle of its set-up.
func closesAfterFirst(t *testing.T, joins time.Duration) *fakekernel.Kernel {
	k := fakekernel.New(t, linktest.NoCarrier(linktest.Ethernet(2, "eth0", macA)), linktest.NoCarrier(linktest.Ethernet(3, "eth1", macB)))
	rules := fakekernel.UnderRules(k)
	k.Then = func(s link.Step) {
		if s == (link.SetMaster{Dev: "eth1", Master: "bond0"}) {
			rules.Change("bond0", func(d *link.Device) { d.Carrier = true })
			<-time.After(joins)
		}
	}
	return k
}

const primaryBond = "bond=bond0:eth0,eth1:mode=active-backup,primary=eth1,miimon=50 ip=10.0.0.5:::24::bond0:none nodisk.arp-probe=0"

// Up returns as soon as the bond has its address. What was begun for the next port is
// finished: the bond gets its primary.
func TestRunFinishesBond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := closesAfterFirst(t, 300*time.Millisecond)
		r := try(t, primaryBond, time.Minute, k, nil)
		synctest.Wait()
		if r.err != nil || r.took != 300*time.Millisecond || !slices.Contains(r.commands, "link set bond0 type bond primary eth1") {
			t.Errorf("%v, %v after %v\n%s", r.state, r.err, r.took, strings.Join(r.commands, "\n"))
		}
		if len(r.log) > 0 {
			t.Errorf("%q", r.log)
		}
	})
}

// A driver that takes long holds nothing up, and nothing is done when it comes to an
// end; what may be missing is told.
func TestRunFinishesInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := closesAfterFirst(t, time.Hour)
		r := try(t, primaryBond, time.Minute, k, nil)
		<-time.After(2 * time.Hour)
		k.Lock()
		defer k.Unlock()
		if r.err != nil || r.took != finishTime || slices.Contains(k.Commands, "link set bond0 type bond primary eth1") {
			t.Errorf("%v, %v after %v\n%s", r.state, r.err, r.took, strings.Join(k.Commands, "\n"))
		}
		want := []string{"1s eth1: driver virtio_net is taking 1 s to bring the device up: the boot goes on, bond0 may be left half set up"}
		if !slices.Equal(r.log, want) {
			t.Errorf("%q", r.log)
		}
	})
}

// What fails when nobody can try it again is told.
func TestRunFinishesWithError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := closesAfterFirst(t, 300*time.Millisecond)
		k.Refuse = map[string]error{"ip link set bond0 type bond primary eth1": fakekernel.ErrInvalid}
		r := try(t, primaryBond, time.Minute, k, nil)
		want := []string{"0s set up eth1: ip link set bond0 type bond primary eth1: invalid argument; not tried again"}
		if r.err != nil || !slices.Equal(r.log, want) {
			t.Errorf("%v, %q", r.err, r.log)
		}
	})
}

// So is what has failed once, when the next try would come too late.
func TestRunFinishesUntried(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const add = "ip link add link ib0 name ib0.8001 type ipoib pkey 0x8001"
		k, rules := ibFabric(t, 4092)
		r := watched(t, "ip=ib0:dhcp ib.pkey=ib0.8001 nodisk.dhcp.clientid=guid", 10500*time.Millisecond, k, func() {
			<-time.After(time.Second)
			rules.Join("ib0", 2044)
			<-time.After(10 * time.Second)
			k.Lock()
			k.Refuse = map[string]error{add: fakekernel.ErrInvalid}
			k.Unlock()
			rules.Unregister("ib0.8001")
		})
		told := func(s string) bool {
			return strings.HasSuffix(s, " links on ib0: "+add+": invalid argument; not tried again")
		}
		if r.err != nil || !slices.ContainsFunc(r.log, told) {
			t.Errorf("%v, %q", r.err, r.log)
		}
	})
}
