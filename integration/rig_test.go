package integration

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestRigCables(t *testing.T) {
	r := &Rig{spec: RigSpec{Cables: 3}, taken: make([]bool, 3), freed: make(chan struct{})}
	two, err := r.take(t.Context(), 2)
	if err != nil || !cmp.Equal(two, []int{0, 1}) {
		t.Fatalf("the first cables are %v, %v", two, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if got, err := r.take(ctx, 2); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("cables that are in use: %v, %v", got, err)
	}
	if _, err := r.take(t.Context(), 4); err == nil {
		t.Error("there are four cables of three")
	}
	waited := make(chan []int)
	go func() {
		got, _ := r.take(t.Context(), 3)
		waited <- got
	}()
	r.give(two)
	if diff := cmp.Diff([]int{0, 1, 2}, <-waited); diff != "" {
		t.Errorf("freed cables (-want +got):\n%s", diff)
	}
}

func TestRigBootCheck(t *testing.T) {
	good := RigBoot{BootSpec: BootSpec{Kernel: "k", Image: "i", Root: RootISCSI}}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*RigBoot){
		"PXE":       func(b *RigBoot) { b.PXE = true },
		"late DHCP": func(b *RigBoot) { b.DHCPAfter = time.Second },
		"in memory": func(b *RigBoot) { b.Root = RootRAM },
		"no kernel": func(b *RigBoot) { b.Kernel = "" },
	} {
		b := good
		change(&b)
		if b.check() == nil {
			t.Errorf("%s is fine", name)
		}
	}
}

// The end of a cable, one that comes later, and a tap.
func TestNICArgs(t *testing.T) {
	cable := nic{near: "/a", far: "/b", mac: "52:54:00:00:00:01"}
	late := cable
	late.absent = true
	const netdev = "-netdev dgram,id=n3,local.type=unix,local.path=/a,remote.type=unix,remote.path=/b"
	for name, c := range map[string]struct {
		nic  nic
		want string
	}{
		"cable": {cable,
			netdev + " -device virtio-net-pci,netdev=n3,mac=52:54:00:00:00:01,romfile=,speed=1000,duplex=full"},
		"late": {late, netdev},
		"tap": {nic{tap: "t", mac: cable.mac}, "-netdev tap,id=n3,ifname=t,script=no,downscript=no -device " +
			"virtio-net-pci,netdev=n3,mac=52:54:00:00:00:01,romfile="},
	} {
		if diff := cmp.Diff(c.want, strings.Join(c.nic.args(3, NICVirtio, ",romfile="), " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// An act waits for its line behind that of the act before.
func TestPlay(t *testing.T) {
	out := newTranscript()
	v := &node{p: &process{out: out}}
	done := 0
	act := func(_ context.Context, a Act) error {
		done++
		if a.Pull != nil {
			return errors.New("no cable")
		}
		return nil
	}
	script := []Act{{On: "^one$"}, {On: "^two$", After: time.Millisecond}, {On: "^one$"}}
	_, _ = out.Write([]byte("one\ntwo\n"))
	played := make(chan error, 1)
	go func() { played <- play(t.Context(), v, script, act) }()
	_, _ = out.Write([]byte("one\n"))
	if err := <-played; err != nil || done != 3 {
		t.Errorf("%v, %d acts, want 3", err, done)
	}
	out.end()
	script = append(script, Act{On: "^three$"})
	if err := play(t.Context(), v, script, act); err == nil || !strings.Contains(err.Error(), `act 4 of the script: wait for "^three$"`) {
		t.Errorf("a line that does not come: %v", err)
	}
	if err := play(t.Context(), v, []Act{{Pull: []int{2}}}, act); err == nil || err.Error() != "act 1 of the script: no cable" {
		t.Errorf("an act that fails: %v", err)
	}
}

// A node has only the cables of its place.
func TestRigAct(t *testing.T) {
	p := &rigNode{}
	if err := p.act(t.Context(), Act{Pull: []int{2}}); err == nil || !strings.Contains(err.Error(), "NIC 2 has no cable") {
		t.Errorf("a cable that is not there: %v", err)
	}
}
