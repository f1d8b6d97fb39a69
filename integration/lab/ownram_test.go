package lab

import (
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// A root that the image holds, or that the command line names, is as unknown to the lab as one
// that was given: a login prompt says that it is up, and it has the time of a distribution. What
// the lab's own arguments are for only roots that it serves.
func TestOwn(t *testing.T) {
	for _, tt := range []struct {
		spec  BootSpec
		own   bool
		limit time.Duration
		words string
	}{
		{BootSpec{Root: RootISCSI}, false, bootTimeout, "ip=dhcp root=dhcp"},
		{BootSpec{Root: RootISCSI, Tree: "x"}, true, ownRootTimeout, "ip=dhcp root=dhcp rw"},
		{BootSpec{Root: RootRAM}, true, ownRootTimeout, "root=/dev/ram"},
		{BootSpec{Root: RootRAM, Timeout: time.Minute}, true, time.Minute, "root=/dev/ram"},
		{BootSpec{Root: RootNone}, true, ownRootTimeout, ""},
	} {
		began := time.Now()
		ctx, cancel := tt.spec.limit(t.Context())
		defer cancel()
		deadline, _ := ctx.Deadline()
		if d := deadline.Sub(began).Round(time.Second); tt.spec.Own() != tt.own || d != tt.limit ||
			tt.spec.Words() != tt.words {
			t.Errorf("%+v: own %v, %v, %q; want %v, %v, %q", tt.spec, tt.spec.Own(), d, tt.spec.Words(), tt.own,
				tt.limit, tt.words)
		}
	}
}

// A root in RAM is up when it shows a login prompt after the switch; --until may match before.
func TestFoundInRAM(t *testing.T) {
	const before, after = "debian login: \n", "[    2.0] x\nnodisk: switch (7/7): to /sbin/init\nnode login: "
	for _, tt := range []struct {
		spec    BootSpec
		console string
		want    bool
	}{
		{BootSpec{Root: RootRAM}, before, false},
		{BootSpec{Root: RootRAM}, after, true},
		{BootSpec{Root: RootNone}, after, true},
		{BootSpec{Root: RootRAM, Until: "login:"}, before, true},
		{BootSpec{Root: RootISCSI, Tree: "x", Until: "login:"}, before, false},
	} {
		n := &Node{m: Machine{Spec: tt.spec}, p: &tool.Process{Out: transcript.New()}, Until: prompt()}
		_, _ = n.p.Out.Write([]byte(tt.console))
		n.p.Out.End()
		if err := n.found(t.Context()); (err == nil) != tt.want {
			t.Errorf("%+v: %v, want found %v", tt.spec, err, tt.want)
		}
	}
}
