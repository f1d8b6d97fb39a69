package rootfs

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// onTmpfs mounts a tmpfs whose root holds a file of that name.
func onTmpfs(name string) func(dir string) error {
	return func(dir string) error {
		if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, name), nil, 0o600)
	}
}

// A mount that the kernel finishes after its attempt was given up takes nothing
// of the next attempt away, and does not stay.
func TestMountThatComesLate(t *testing.T) {
	if !inNamespaces(t, false) {
		return
	}
	parent := t.TempDir()
	dir := filepath.Join(parent, "sysroot")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	held, release, landed, resume := make(chan struct{}), make(chan struct{}), make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-held
		cancel(errors.New("the stage has ended"))
	}()
	err := mountAside(ctx, dir, func(own string) error {
		close(held)
		<-release // as the kernel waits for a disk
		err := onTmpfs("first")(own)
		close(landed)
		<-resume // the thread may be scheduled at any time
		return err
	})
	if err == nil || !strings.Contains(err.Error(), "the kernel did not finish the mount") || !strings.Contains(err.Error(), "the stage has ended") {
		t.Fatalf("given up with %v", err)
	}
	close(release)
	<-landed
	if err := unix.Unmount(dir, unix.MNT_DETACH); !errors.Is(err, unix.EINVAL) { // each attempt begins with that
		t.Errorf("the late mount is on the root's directory: %v", err)
	}
	if err := mountAside(t.Context(), dir, onTmpfs("second")); err != nil {
		t.Fatal(err)
	}
	close(resume)
	until(t, "the late mount to be taken away", func(context.Context) error {
		entries, err := os.ReadDir(parent)
		if err == nil && len(entries) != 1 {
			err = errors.New(entries[0].Name() + " is there")
		}
		return err
	})
	if _, err := os.Stat(filepath.Join(dir, "second")); err != nil {
		t.Errorf("the mount of the next attempt: %v", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(mounts, []byte(" "+parent+"/")); n != 1 {
		t.Errorf("%d mounts below %s:\n%s", n, parent, mounts)
	}
}

// attach makes a loop device of an image.
func attach(t *testing.T, image string, flags ...string) (name string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "losetup", append(flags, "--find", "--show", image)...).Output()
	if err != nil {
		testenv.Missing(t, "loop devices")
	}
	name = strings.TrimPrefix(strings.TrimSpace(string(out)), "/dev/")
	t.Cleanup(func() { detach(t, name) })
	return name
}

// crashed returns the image of a filesystem as a power cut leaves it: one file,
// "marker", is written down, the journal is not replayed.
func crashed(t *testing.T, fstype string) (image string) {
	t.Helper()
	dir := t.TempDir()
	image = recipes()[fstype].make(t, dir)
	device := "/dev/" + attach(t, image)
	at := filepath.Join(dir, "folder")
	if err := unix.Mount(device, at, fstype, 0, ""); err != nil {
		testenv.Missing(t, "a kernel with "+fstype)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) }) // of a test that ended early
	file, err := os.Create(filepath.Join(at, "marker"))
	if err != nil {
		t.Fatal(err)
	}
	// What mount(2) left to the background first, so that nothing but the log is
	// written while the image is copied.
	if err := unix.Syncfs(int(file.Fd())); err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("written down\n"); err != nil {
		t.Fatal(err)
	}
	if err := file.Sync(); err != nil {
		t.Fatal(err)
	}
	image2 := filepath.Join(t.TempDir(), "crashed")
	run(t, "cp", "--sparse=always", image, image2)
	if err := errors.Join(file.Close(), unix.Unmount(at, 0)); err != nil { // two of one UUID are not mounted at once
		t.Fatal(err)
	}
	return image2
}

// A disk that cannot be written, with a journal that would have to be replayed,
// is mounted without, and that is told; where the journal is clean nothing is.
func TestMountWithoutReplay(t *testing.T) {
	needsTools(t, "losetup", "cp")
	if !inNamespaces(t, false) {
		return
	}
	for fstype, word := range map[string]string{"ext4": "noload", "xfs": "norecovery", "btrfs": "rescue=nologreplay"} {
		t.Run(fstype, func(t *testing.T) {
			name := attach(t, crashed(t, fstype), "--read-only")
			dir := filepath.Join(t.TempDir(), "sysroot")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			b, err := FindOn(ctx, []string{name}, Selector{}, "", nil)
			if err != nil {
				t.Fatal(err)
			}
			var log bytes.Buffer
			m, err := MountBlock(ctx, b, BlockMount{Dir: dir, ReadOnly: true}, slog.New(slog.NewTextHandler(&log, nil)))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
			if !m.ReadOnly || !strings.HasSuffix(m.Options, word) {
				t.Errorf("%s with %q, want %s", m, m.Options, word)
			}
			if !strings.Contains(log.String(), "is write-protected and its journal is not empty: mounted without it ("+word+")") {
				t.Errorf("log %q", log.String())
			}
		})
	}
}

// A btrfs of two devices is mounted by either, without a scan before.
func TestMountOfSeveralDevices(t *testing.T) {
	needsTools(t, "mkfs.btrfs", "losetup", "btrfs")
	if !inNamespaces(t, false) {
		return
	}
	dir := t.TempDir()
	var names []string
	for _, n := range []string{"one", "two"} {
		image := filepath.Join(dir, n)
		writeImage(t, image, nil, 128*mib)
		names = append(names, attach(t, image))
	}
	run(t, "mkfs.btrfs", "-q", "-d", "single", "-m", "raid1", "-L", "several", "/dev/"+names[0], "/dev/"+names[1])
	run(t, "btrfs", "device", "scan", "--forget")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	b, err := FindBlock(ctx, Selector{ByLabel, "several"}, names, nil)
	if err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(dir, "sysroot")
	if err := os.Mkdir(at, 0o755); err != nil {
		t.Fatal(err)
	}
	m, err := MountBlock(ctx, b, BlockMount{Dir: at, ReadOnly: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(at, unix.MNT_DETACH) })
	if m.Options != "device=/dev/"+names[1] {
		t.Errorf("%s with %q", m, m.Options)
	}
}
