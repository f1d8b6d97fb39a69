package integration

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"syscall"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// Whatever ends a boot, and however often it is said, none of it is left, and it is reported once.
// A signal to the process outside alone ends it as soon as one to all.
func TestBootEnded(t *testing.T) { //nolint:tparallel // its nodes share a place on the machine
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootISCSI, Disk: "x"})
	if !lab.HasFUSE() {
		testenv.Missing(t, "no "+lab.FUSE+", or this user may not open it")
	}
	image := buildImage(t, "virt,iscsi,ext4", "--module", "virtio_blk")
	kernel, disk := filepath.Join(kernelDir(t), "vmlinuz"), testDisk(t)
	takePlace(t, busy)
	for _, c := range []struct {
		name    string
		root    []string
		signals []syscall.Signal
		group   bool
		said    string
	}{
		{"INT alone", []string{"--disk", disk}, []syscall.Signal{syscall.SIGINT}, false, "nodisk: interrupted\n"},
		{
			"HUP alone",
			[]string{"--disk", disk, "--root", "virtio"},
			[]syscall.Signal{syscall.SIGHUP},
			false,
			"nodisk: the terminal has hung up\n",
		},
		{"TERM twice, as timeout sends it", []string{"--disk", disk}, []syscall.Signal{
			syscall.SIGTERM,
			syscall.SIGTERM,
		}, true, "nodisk: terminated\n"},
		{"KILL", []string{"--disk", disk}, []syscall.Signal{syscall.SIGKILL}, false, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			tmp := t.TempDir()
			cmd := asUser(t.Context(), t, append([]string{"boot", image, "--kernel", kernel, "--accel", "tcg"},
				c.root...)...)
			cmd.Env = append(cmd.Env, "TMPDIR="+tmp)
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
			seen := transcript.New()
			var stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = seen, &stderr
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			pid := cmd.Process.Pid
			if c.group {
				pid = -pid
			}
			if err := seen.AwaitText(t.Context(), 0, regexp.MustCompile(`.`)); err != nil {
				t.Error(err)
			}
			began := time.Now()
			for i, s := range c.signals {
				if i > 0 {
					<-time.After(50 * time.Millisecond) // two signals, not one that is pending
				}
				if err := syscall.Kill(pid, s); err != nil {
					t.Error(err)
				}
			}
			_ = cmd.Wait() // what it says follows
			if d := time.Since(began); d > 10*time.Second {
				t.Errorf("it took %v to end", d)
			}
			if got := stderr.String(); got != c.said {
				t.Errorf("it said %q, want %q", got, c.said)
			}
			if left, err := os.ReadDir(tmp); err != nil || len(left) > 0 {
				t.Errorf("left in TMPDIR: %v, %v", left, err)
			}
		})
	}
}
