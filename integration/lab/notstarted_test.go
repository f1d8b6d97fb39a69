package lab

import (
	"strings"
	"testing"
)

// What QEMU says when it makes no machine is told without its argument; a machine that ran is
// another matter.
func TestRefusedBy(t *testing.T) {
	const qemu = "qemu-system-x86_64"
	args := []string{"-m", "512", "-device", "nosuch,netdev=n0,mac=52:54:00:77:00:01,romfile=", "-accel", "kvm"}
	for said, want := range map[string]string{
		qemu +
			": -device nosuch,netdev=n0,mac=52:54:00:77:00:01,romfile=: 'nosuch' is not a valid " +
			"device model name\n": "'nosuch' is not a valid device model name",
		"Could not access KVM kernel module: No such file or directory\n" + qemu +
			": failed to initialize kvm: No such file or directory\n": "failed to initialize kvm: No such " +
			"file or directory",
		qemu + ": warning: x\n" + qemu +
			": cannot set up guest memory 'pc.ram': Cannot allocate memory\n": "cannot set up guest memory 'pc.ram': " +
			"Cannot allocate memory",
		qemu + ": error: failed to set MSR 0x10a to 0x69\n" + qemu +
			": ../../target/i386/kvm/kvm.c:3183: Assertion `x' failed.\n": "error: failed to set MSR 0x10a to 0x69; " +
			"../../target/i386/kvm/kvm.c:3183: Assertion `x' failed.",
		"Booting from ROM..\n" + qemu +
			": terminating on signal 15\n": "",
		"": "",
	} {
		if got := refusedBy(qemu, args, said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}

// What QEMU says is held back until its machine says something, and none of it is lost.
func TestPreface(t *testing.T) {
	t.Parallel()
	const own, other = "qemu-system-x86_64: warning: x\n", "\x1bcSeaBIOS\n"
	for _, tt := range []struct {
		writes []string
		at     string // before the end
	}{
		{[]string{own}, ""},
		{[]string{own, "Could not access KVM kernel module: no\n", own}, ""},
		{[]string{own + other, own}, own + other + own},
		{[]string{own[:3], own[3:20], own[20:] + "q", "uite another"}, own + "quite another"},
		{[]string{other, own}, other + own},
		{[]string{"qemu"}, ""},
	} {
		for _, dropped := range []bool{false, true} {
			var out strings.Builder
			p := &preface{w: &out, program: "qemu-system-x86_64"}
			for _, w := range tt.writes {
				if n, err := p.Write([]byte(w)); n != len(w) || err != nil {
					t.Fatal(n, err)
				}
			}
			if out.String() != tt.at {
				t.Errorf("%q: %q, want %q", tt.writes, out.String(), tt.at)
			}
			want := strings.Join(tt.writes, "")
			if dropped {
				p.drop()
				want = tt.at
			}
			if err := p.release(); err != nil || out.String() != want {
				t.Errorf("%q: in the end %q, %v, want %q", tt.writes, out.String(), err, want)
			}
		}
	}
}
