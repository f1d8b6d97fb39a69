package integration

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// asUser is nodisk as somebody runs it: outside of the namespaces of these tests.
func asUser(ctx context.Context, t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(ctx, nodisk(t), args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "NODISK_LAB_INSIDE=") { // it is to make namespaces of its own
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	return cmd
}

// fingerprint is of all that is known of a tree: names, modes, owners, sizes, times of
// content and inode.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		var s syscall.Stat_t
		if err := syscall.Lstat(path, &s); err != nil {
			return err
		}
		_, err = fmt.Fprintln(sum, path, s.Mode, s.Uid, s.Gid, s.Size, s.Nlink, s.Rdev, s.Mtim, s.Ctim)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// A stock Debian tree boots to multi-user.target, and is not touched.
func TestBootTree(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootISCSI, Tree: "x"})
	tree := debianTree(t, "bookworm")
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	image := buildImage(t, "virt,iscsi,ext4")
	before := fingerprint(t, tree)
	args := []string{
		"boot", image, "--kernel", kernel, "--tree", tree, "--timeout", "8m", "--until",
		`Reached target multi-user\.target`,
	}
	if log := testLogFile("tree"); log != "" {
		args = append(args, "--log", log)
	}
	takeLong(t)
	out, err := asUser(t.Context(), t, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v; the console's end:\n%s", err, transcript.Tail(string(out), 40))
	}
	if want := regexp.MustCompile(
		`(?m)^root is up: it wrote what was waited for, [\d.]+ s after power on`); !want.Match(out) {
		t.Errorf("no line like %q:\n%s", want, transcript.Tail(string(out), 10))
	}
	if !regexp.MustCompile(`nodisk: switch \(7/7\): to /sbin/init`).Match(out) {
		t.Error("nodisk's /init did not hand over")
	}
	if after := fingerprint(t, tree); after != before {
		t.Error("the tree was written to")
	}
}

// testDisk makes a disk image with an MBR and an ext4 partition with the lab's root.
func testDisk(t *testing.T) string {
	t.Helper()
	tree, dir := t.TempDir(), t.TempDir()
	if err := lab.RootTree(tree); err != nil {
		t.Fatal(err)
	}
	part := filepath.Join(dir, "part")
	if err := lab.RootDisk(t.Context(), tree, part); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	const start, sector = 2048, 512
	mbr := make([]byte, start*sector)
	copy(mbr[440:], "\x78\x56\x34\x12")
	copy(mbr[446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0})
	sectors := len(data) / sector
	copy(mbr[458:], []byte{byte(sectors), byte(sectors >> 8), byte(sectors >> 16), byte(sectors >> 24)})
	mbr[510], mbr[511] = 0x55, 0xaa
	disk := filepath.Join(dir, "disk,1.raw") // a comma, which QEMU's options separates
	if err := os.WriteFile(disk, append(mbr, data...), 0o444); err != nil {
		t.Fatal(err)
	}
	return disk
}

// inQcow2 converts a raw disk.
func inQcow2(t *testing.T, raw string) string {
	t.Helper()
	disk := filepath.Join(t.TempDir(), "disk,1.qcow2")
	if err := tool.QEMUImg().Run(t.Context(), "convert", "-f", "raw", "-O", "qcow2", raw, disk); err != nil {
		t.Fatal(err)
	}
	return disk
}

// A disk is booted by iSCSI (a qcow2 image) and as one of the machine's own, and is not written to, though the
// node writes to its root.
func TestBootDisk(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootISCSI, Disk: "x"})
	if !lab.HasFUSE() {
		testenv.Missing(t, "no "+lab.FUSE+", or this user may not open it")
	}
	image := buildImage(t, "virt,iscsi,ext4", "--module", "virtio_blk")
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	for _, way := range []string{"auto", "virtio"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			disk := testDisk(t)
			if way == "auto" {
				disk = inQcow2(t, disk)
			}
			content, err := os.ReadFile(disk)
			if err != nil {
				t.Fatal(err)
			}
			before := fingerprint(t, disk)
			args := []string{"boot", image, "--kernel", kernel, "--disk", disk, "--root", way, "--timeout", "4m"}
			if log := testLogFile("disk-" + way); log != "" {
				args = append(args, "--log", log)
			}
			takePlace(t, busy)
			out, err := asUser(t.Context(), t, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v; the console's end:\n%s", err, transcript.Tail(string(out), 40))
			}
			want := []string{`nodisk-root: writable yes`, `nodisk-root: done`, `^root is up: it switched itself off`}
			if way == "auto" {
				want = append([]string{`nodisk-root: root ext4 /dev/sda1`, `nodisk-root: session iqn`}, want...)
			} else {
				want = append([]string{`nodisk-root: root ext4 /dev/vda1`}, want...)
			}
			if err := (lab.BootResult{Console: string(out)}).Expect(want...); err != nil {
				t.Error(err)
			}
			after, err := os.ReadFile(disk)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(content, after) || fingerprint(t, disk) != before {
				t.Error("the disk was written to")
			}
		})
	}
}

// NFS exports: a tree is under an overlay and keeps what it is, a directory of --nfs gets what
// the node writes.
func TestBootExport(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootNFS4})
	image := buildImage(t, "virt,nfs")
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	for _, way := range []string{"tree", "nfs"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			tree := filepath.Join(t.TempDir(), "a tree")
			if err := lab.RootTree(tree); err != nil {
				t.Fatal(err)
			}
			init := filepath.Join(tree, "sbin/init")
			text, err := os.ReadFile(init)
			if err != nil {
				t.Fatal(err)
			}
			text = bytes.Replace(text, []byte("say done\n"), []byte("echo hello >/written\nsay done\n"), 1)
			if err := os.WriteFile(init, text, 0o755); err != nil { //nolint:gosec // a program
				t.Fatal(err)
			}
			before := fingerprint(t, tree)
			args := []string{
				"boot", image, "--kernel", kernel, "--" + way, tree, "--timeout", "4m",
				"--append", "nodisk.onfail=poweroff nodisk.deadline=2m",
			}
			if log := testLogFile("export-" + way); log != "" {
				args = append(args, "--log", log)
			}
			takePlace(t, busy)
			out, err := asUser(t.Context(), t, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("%v; the console's end:\n%s", err, transcript.Tail(string(out), 40))
			}
			if err := (lab.BootResult{Console: string(out)}).Expect(`nodisk-root: root nfs4 `, `nodisk-root: writable yes`,
				`^root is up: it switched itself off`); err != nil {
				t.Error(err)
			}
			written, err := os.ReadFile(filepath.Join(tree, "written"))
			switch {
			case way == "nfs" && string(written) != "hello\n":
				t.Errorf("what the node wrote is not in the directory: %q, %v", written, err)
			case way == "tree" && fingerprint(t, tree) != before:
				t.Error("the tree was written to")
			}
		})
	}
}

// The terminal is the node's: a command is typed, its answer seen, and the terminal is what it
// was when the node has switched itself off, was ended by Ctrl-a x, or the program was killed.
func TestBootInteractive(t *testing.T) { //nolint:tparallel // its nodes share a place on the machine
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootISCSI, Tree: "x"})
	image := buildImage(t, "virt,iscsi,ext4")
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	tree := t.TempDir()
	if err := lab.RootTree(tree); err != nil {
		t.Fatal(err)
	}
	args := []string{"boot", image, "--kernel", kernel, "--tree", tree, "--init", "/bin/sh", "--interactive"}
	cases := []struct {
		name   string
		end    func(t *testing.T, cmd *exec.Cmd, term *os.File)
		status int
		want   []string
	}{
		{
			"poweroff", func(t *testing.T, _ *exec.Cmd, term *os.File) {
				typeAt(t, term, "/bin/busybox poweroff -f\r")
			},
			0,
			[]string{`Power down`, `^root is up: it switched itself off`},
		},
		{
			"escape", func(t *testing.T, _ *exec.Cmd, term *os.File) { typeAt(t, term, "\x01x") }, 0,
			[]string{`QEMU: Terminated`, `^root is up: `},
		},
		{"killed", killInner, 128 + int(syscall.SIGKILL), nil},
	}
	takePlace(t, busy)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
			defer cancel()
			cmd := asUser(ctx, t, args...)
			cmd.Env = append(cmd.Env, "TERM=vt220")
			ptmx, tty, err := pty.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer ptmx.Close() //nolint:errcheck // a terminal
			defer tty.Close()  //nolint:errcheck // a terminal
			if err := pty.Setsize(ptmx, &pty.Winsize{Rows: 41, Cols: 133}); err != nil {
				t.Fatal(err)
			}
			before := stty(t, tty)
			cmd.Stdin, cmd.Stdout, cmd.Stderr = tty, tty, tty
			seen := transcript.New()
			go func() { _, _ = seenFrom(seen, ptmx) }()
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			err = seen.AwaitText(ctx, 0, regexp.MustCompile(`^[~/ ]*#$`))
			if err == nil {
				typeAt(t, ptmx, "echo $((6*7)) $TERM\r")
				err = seen.AwaitText(ctx, 0, regexp.MustCompile(`^42 vt220$`))
			}
			if err != nil {
				cancel()
				_ = cmd.Wait()
				t.Fatalf("%v; the terminal's end:\n%s", err, transcript.Tail(seen.String(), 30))
			}
			if stty(t, tty) == before {
				t.Error("the terminal is not raw while it is the node's")
			}
			c.end(t, cmd, ptmx)
			_ = cmd.Wait() // its status follows
			if got := cmd.ProcessState.ExitCode(); got != c.status {
				t.Errorf("status %d, want %d; the terminal's end:\n%s", got, c.status, transcript.Tail(seen.String(), 10))
			}
			if diff := cmp.Diff(before, stty(t, tty)); diff != "" {
				t.Errorf("the terminal was changed (-before +after):\n%s", diff)
			}
			_ = tty.Close()
			for _, w := range c.want {
				if err := seen.AwaitText(ctx, 0, regexp.MustCompile(w)); err != nil {
					t.Errorf("%v; the terminal's end:\n%s", err, transcript.Tail(seen.String(), 10))
				}
			}
		})
	}
}

// seenFrom copies what a terminal shows, until it is closed.
func seenFrom(seen *transcript.Transcript, ptmx *os.File) (int64, error) {
	defer seen.End()
	n, err := ptmx.WriteTo(seen)
	return n, err
}

func typeAt(t *testing.T, term *os.File, keys string) {
	t.Helper()
	if _, err := term.WriteString(keys); err != nil {
		t.Fatal(err)
	}
}

// stty is the terminal's state as stty -g tells it.
func stty(t *testing.T, tty *os.File) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "stty", "-g")
	cmd.Stdin = tty
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

// killInner kills the process in the namespaces, which made the terminal raw.
func killInner(t *testing.T, cmd *exec.Cmd, _ *os.File) {
	t.Helper()
	pid := cmd.Process.Pid
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		t.Fatal(err)
	}
	var child int
	if _, err := fmt.Sscan(string(children), &child); err != nil {
		// The child was made by another thread.
		matches, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
		for _, m := range matches {
			text, _ := os.ReadFile(m)
			if _, err := fmt.Sscan(string(text), &child); err == nil {
				break
			}
		}
	}
	if child == 0 {
		t.Fatal("no process inside of the namespaces")
	}
	if err := syscall.Kill(child, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
