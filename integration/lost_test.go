package integration

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
)

// A trigger does something once, when a text goes by.
type trigger struct {
	text string
	do   func()
	once sync.Once
	tail []byte
}

func (w *trigger) Write(p []byte) (int, error) {
	w.tail = append(w.tail, p...)
	if bytes.Contains(w.tail, []byte(w.text)) {
		w.once.Do(func() { go w.do() })
	}
	if keep := len(w.tail) - len(w.text); keep > 0 {
		w.tail = w.tail[keep:]
	}
	return len(p), nil
}

// The target goes away for good while its disk is mounted and written: what waits for it
// does not keep the node from ending as it is to.
func TestBootTargetLost(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootISCSI})
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	image := buildImage(t, "virt,iscsi,ext4")
	// Without an init, the boot goes on trying with the root mounted.
	tree := t.TempDir()
	if err := os.MkdirAll(filepath.Join(tree, "sbin"), 0o755); err != nil {
		t.Fatal(err)
	}
	const noInit = "is mounted, but the root has no init"
	cases := []struct {
		name, onfail, until string
		port                int
		expect              []string
	}{
		{"reboot", "reboot", "", 3271, []string{
			noInit, `gave up after .*; nodisk\.onfail=reboot`,
			`reboot: Restarting system`,
		}},
		// A second worker gets to the network again, to its own first attempt, and gives up
		// without having mounted anything.
		{
			"again", "retry", `gave up after [^;]*: attach: [^;]*; starting again`, 3272,
			[]string{
				noInit, `gave up after .*; starting again \(nodisk\.onfail=retry\)`, `nodisk: network \(3/7\): `,
				`attach \(5/7\): .* attempt 1,`,
			},
		},
	}
	l := sharedLab(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, waits)
			const iqn = "iqn.2025-01.test.nodisk:lost"
			disk := l.Path("lost-" + c.name + ".ext4")
			if err := lab.RootDisk(t.Context(), tree, disk); err != nil {
				t.Fatal(err)
			}
			d := newDaemon(t, c.port, iqn, lun{1, disk})
			s := lab.BootSpec{
				Name: "lost-" + c.name, Kernel: kernel, Image: image, Root: lab.RootNone, CPUs: 2, Timeout: 3 * time.Minute,
				Cmdline: "ip=dhcp root=dhcp", RootPath: fmt.Sprintf("iscsi:{server}::%d:1:%s", c.port, iqn),
				Append: "rw nodisk.deadline=20s nodisk.onfail=" + c.onfail, Until: c.until,
				Console: &trigger{text: noInit, do: d.process.Stop},
			}
			s.Log = testLogFile(s.Name)
			res, err := l.Boot(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if err := res.Expect(c.expect...); err != nil {
				t.Error(err)
			}
			if c.until != "" && res.End != lab.EndFound {
				t.Errorf("it ended by %q, want that the second worker gives up", res.End)
			}
			if c.onfail == "reboot" && res.End != lab.EndReboot {
				t.Errorf("it ended by %q, want that it rebooted", res.End)
			}
		})
	}
}
