package rootfs

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/internal/uevent"
)

// inNamespaces runs the test once more, in a process with its own mounts and,
// when asked for, its own network. It returns true in that process.
func inNamespaces(t *testing.T, network bool) bool {
	t.Helper()
	const marker = "ROOTFS_TEST_NAMESPACE"
	if os.Getenv(marker) == t.Name() {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			t.Fatalf("make the mounts private: %v", err)
		}
		if network {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkSetUp(lo); err != nil {
				t.Fatal(err)
			}
		}
		return true
	}
	needsRoot(t)
	flags := uintptr(syscall.CLONE_NEWNS)
	if network {
		flags |= syscall.CLONE_NEWNET
	}
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), marker+"="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags}
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	switch {
	case err != nil:
		t.Errorf("in its namespaces: %v", err)
	case strings.Contains(string(out), "--- SKIP"):
		testenv.Missing(t, "what the log above names")
	}
	return false
}

// start runs a server until the test ends.
func start(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	log := &strings.Builder{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, log)
		}
	})
}

// until tries again every 20 ms, for a server that tells nobody when it is ready.
func until(t *testing.T, what string, try func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("wait for %s: %v", what, err)
		}
	}
}

func detach(t *testing.T, name string) {
	t.Helper()
	// The test's own context has ended when its clean-up runs.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, "losetup", "--detach", "/dev/"+name).CombinedOutput(); err != nil {
		t.Errorf("detach %s: %v: %s", name, err, out)
	}
}

// addPartition does what the kernel does itself when it can read the table, for
// hosts whose kernel was built without.
func addPartition(t *testing.T, name string, number int, start, size int64) {
	t.Helper()
	disk, err := os.Open("/dev/" + name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = disk.Close() }()
	p := unix.BlkpgPartition{Start: start, Length: size, Pno: int32(number)}
	arg := unix.BlkpgIoctlArg{Op: unix.BLKPG_ADD_PARTITION, Datalen: int32(unsafe.Sizeof(p)), Data: (*byte)(unsafe.Pointer(&p))}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, disk.Fd(), unix.BLKPG, uintptr(unsafe.Pointer(&arg)))
	if errno != 0 && errno != unix.EBUSY { // EBUSY: it is there already
		testenv.Missing(t, fmt.Sprintf("loop devices with partitions (%v)", errno))
	}
}

// A real disk with a GPT: attached while FindBlock waits, found by the kernel's
// event, mounted.
func TestFindAndMountLoopDisk(t *testing.T) {
	needsTools(t, "mke2fs", "losetup")
	if !inNamespaces(t, false) {
		return
	}
	dir := t.TempDir()
	image := filepath.Join(dir, "disk")
	writeImage(t, image, newGPT(24*mib, 512, []Partition{
		{Number: 1, UUID: uuidOne, Label: "esp", Type: espType, Start: mib, Size: 2 * mib},
		{Number: 2, UUID: uuidTwo, Label: "system", Type: linuxType, Start: 4 * mib, Size: 16 * mib},
	}), 0)
	content := filepath.Join(dir, "content")
	if err := os.MkdirAll(content, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(content, "marker"), []byte("here\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	label := "t" + filepath.Base(dir) + filepath.Base(filepath.Dir(dir))[max(0, len(filepath.Base(filepath.Dir(dir)))-8):]
	run(t, "mke2fs", "-q", "-t", "ext4", "-L", label, "-d", content, "-E", "offset=4194304", image, "16m")
	mountpoint := filepath.Join(dir, "mnt")
	if err := os.Mkdir(mountpoint, 0o755); err != nil {
		t.Fatal(err)
	}

	events, err := uevent.Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = events.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	type outcome struct {
		b   Block
		err error
	}
	found := make(chan outcome, 1)
	go func() {
		b, err := FindBlock(ctx, Selector{ByLabel, label}, nil, nil)
		found <- outcome{b, err}
	}()
	loop, err := exec.CommandContext(ctx, "losetup", "--find", "--show", "--partscan", image).Output()
	if err != nil {
		testenv.Missing(t, "loop devices with partitions")
	}
	name := strings.TrimPrefix(strings.TrimSpace(string(loop)), "/dev/")
	t.Cleanup(func() { detach(t, name) })
	addPartition(t, name, 1, mib, 2*mib)
	addPartition(t, name, 2, 4*mib, 16*mib)
	got := <-found
	if got.err != nil {
		t.Fatal(got.err)
	}
	if got.b.Name != name+"p2" || got.b.Partition.UUID != uuidTwo || got.b.Filesystem.Type != "ext4" {
		t.Errorf("%+v", got.b)
	}
	if only, err := FindOn(ctx, []string{name}, Selector{}, "", nil); err != nil || only.Name != got.b.Name {
		t.Errorf("FindOn: %v, %v", only, err)
	}

	m, err := MountBlock(ctx, got.b, BlockMount{Dir: mountpoint, Options: "noatime,nodev", ReadOnly: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(mountpoint, unix.MNT_DETACH) })
	if b, err := os.ReadFile(filepath.Join(mountpoint, "marker")); err != nil || string(b) != "here\n" {
		t.Errorf("%s: %q, %v", m, b, err)
	}
	if want := "ext4 of /dev/" + name + "p2, read-only"; m.String() != want {
		t.Errorf("%s, want %s", m, want)
	}
	var st unix.Statfs_t
	if err := unix.Statfs(mountpoint, &st); err != nil || st.Flags&unix.ST_RDONLY == 0 || st.Flags&unix.ST_NOATIME == 0 {
		t.Errorf("flags %x, %v", st.Flags, err)
	}

	_, err = MountBlock(ctx, got.b, BlockMount{Dir: mountpoint, Options: "nonsense=1"}, nil)
	for _, want := range []string{"mount /dev/" + name + "p2 as ext4", "an option it does not know", "nonsense"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("unknown option: %v, want %q", err, want)
		}
	}
	_, err = MountBlock(ctx, got.b, BlockMount{Dir: mountpoint, Types: "nosuchfs"}, nil)
	if err == nil || !strings.Contains(err.Error(), "this kernel has no nosuchfs: add --profile nosuchfs to the image") {
		t.Errorf("unknown type: %v", err)
	}
}

// A write-protected disk is mounted read-only although rw was asked for.
func TestMountWriteProtected(t *testing.T) {
	needsTools(t, "mke2fs", "losetup")
	if !inNamespaces(t, false) {
		return
	}
	dir := t.TempDir()
	image := recipes()["ext4"].make(t, dir)
	loop, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", "--read-only", image).Output()
	if err != nil {
		testenv.Missing(t, "loop devices")
	}
	name := strings.TrimPrefix(strings.TrimSpace(string(loop)), "/dev/")
	t.Cleanup(func() { detach(t, name) })
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	b, err := FindOn(ctx, []string{name}, Selector{}, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := MountBlock(ctx, b, BlockMount{Dir: filepath.Join(dir, "folder"), Options: "rw"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(filepath.Join(dir, "folder"), unix.MNT_DETACH) })
	if !m.ReadOnly {
		t.Errorf("%s", m)
	}
}
