package integration

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/internal/testenv"
)

// stallImage is an image with a driver that stays in its probe, as if the kernel's tree
// had it for the watchdog of Intel's 6300ESB.
func stallImage(t *testing.T, profiles string, args ...string) string {
	t.Helper()
	root, err := lab.StallTree(kernelDir(t), "../.cache/stall/stall.ko", t.TempDir())
	if errors.Is(err, fs.ErrNotExist) {
		testenv.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	// The last --modules counts.
	return buildImage(t, profiles, append([]string{"--modules", root, "--module", "stall"}, args...)...)
}

// The kernel holds a thread of the worker forever, in the probe of a device that nobody
// needs, and would never come down itself: the boot ends as it is to end all the same.
func TestBootHeld(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootNone})
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	// No driver of a network: nothing but the disk that is not there is waited for.
	image := stallImage(t, "ext4")
	const (
		probing = `stall: in the probe for 100000 s`
		goesOn  = `nodisk: supervisor: the worker does not end: the kernel holds it in .*\[stall\].*; going on without it`
		gaveUp  = `nodisk: error: gave up after .*; nodisk\.onfail=`
		forced  = `nodisk: supervisor: the kernel does not `
	)
	l := sharedLab(t)
	cases := []bootCase{
		{
			name: "reboot", spec: lab.BootSpec{Root: lab.RootNone, Cmdline: "root=LABEL=nobody nodisk.deadline=10s " +
				"nodisk.onfail=reboot"},
			expect: []string{probing, gaveUp + "reboot", goesOn, forced + "reboot", `at once \(sysrq b\)`},
		},
		{
			name: "poweroff", spec: lab.BootSpec{Root: lab.RootNone, Cmdline: "root=LABEL=nobody nodisk.deadline=10s " +
				"nodisk.onfail=poweroff"},
			expect: []string{probing, gaveUp + "poweroff", goesOn, forced + "poweroff", `by its ACPI registers`},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, waits)
			s := c.spec
			s.Name, s.Kernel, s.Image, s.Append = "held-"+c.name, kernel, image, "stall.probe_secs=100000"
			s.CPUs, s.Timeout, s.Devices = 2, 3*time.Minute, []string{"i6300esb"}
			s.Log = testLogFile(s.Name)
			res, err := l.Boot(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Expect(c.expect...); err != nil {
				t.Error(err)
			}
			// QEMU ends with the machine: the kernel has no word for these two ways.
			if !strings.HasPrefix(res.End, "QEMU ended with status 0") {
				t.Errorf("it ended by %q, want that the machine ended", res.End)
			}
		})
	}
}
