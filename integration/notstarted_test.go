package integration

import "testing"

// What QEMU says when it makes no machine is told without its argument; a machine that ran is
// another matter.
func TestRefusedBy(t *testing.T) {
	const qemu = "qemu-system-x86_64"
	args := []string{"-m", "512", "-device", "nosuch,netdev=n0,mac=52:54:00:77:00:01,romfile=", "-accel", "kvm"}
	for said, want := range map[string]string{
		qemu + ": -device nosuch,netdev=n0,mac=52:54:00:77:00:01,romfile=: 'nosuch' is not a valid device model name\n":                      "'nosuch' is not a valid device model name",
		"Could not access KVM kernel module: No such file or directory\n" + qemu + ": failed to initialize kvm: No such file or directory\n": "failed to initialize kvm: No such file or directory",
		qemu + ": warning: x\n" + qemu + ": cannot set up guest memory 'pc.ram': Cannot allocate memory\n":                                   "cannot set up guest memory 'pc.ram': Cannot allocate memory",
		qemu + ": error: failed to set MSR 0x10a to 0x69\n" + qemu + ": ../../target/i386/kvm/kvm.c:3183: Assertion `x' failed.\n":           "error: failed to set MSR 0x10a to 0x69; ../../target/i386/kvm/kvm.c:3183: Assertion `x' failed.",
		"Booting from ROM..\n" + qemu + ": terminating on signal 15\n":                                                                       "",
		"": "",
	} {
		if got := refusedBy(qemu, args, said); got != want {
			t.Errorf("%q: %q, want %q", said, got, want)
		}
	}
}
