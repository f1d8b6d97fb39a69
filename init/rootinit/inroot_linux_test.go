package rootinit

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/integration/oldkernel"
	"github.com/nodisk/nodisk/internal/testenv"
)

// chainOf makes n links that lead to "end", one over the other.
func chainOf(files map[string]string, n int) string {
	to := "end"
	for i := range n {
		name := fmt.Sprintf("over%d-%d", n, i)
		files[name], to = "->"+to, name
	}
	return to
}

// By hand it comes to what the kernel says, where the kernel can.
func TestOpenInRootAsTheKernel(t *testing.T) {
	files := map[string]string{
		"end": "the end", "usr/lib/systemd/systemd": "systemd", "usr/lib/x": "x", "a/b/c/file": "c",
		"sbin": "->usr/lib", "usr/lib/init": "->../lib/systemd/systemd", "usr/lib/absolute": "->/usr/lib/systemd/systemd",
		"out": "->../../../../../end", "a/out": "->../../../end", "rooted": "->/", "a/b/up": "->..", "a/self": "->.", "loop": "->loop",
		"ping": "->pong", "pong": "->ping", "nowhere": "->none", "slash": "->end/", "dir-slash": "->a/b/", "through": "->end/x",
		"many": "->//a///b/./c/../c//file", "etc/passwd": "inside", "escape": "->/../../etc/passwd", "deep": "->a/b/up/b/up/self/b/c/file",
	}
	names := []string{
		"/end", "end", "//end", "/./end", "/../end", "../../../end", "/end/", "/end/.", "/end/..", "/end/x", "/a/b/c/file",
		"/a/b/../b/c/../../b/c/file", "/a/../../../end", "/sbin/init", "/sbin/absolute", "/sbin/../end", "/sbin/../lib/x", "/out", "/a/out", "/rooted/end",
		"/a/b/up/../end", "/a/b/up/b/c/file", "/a/self/self/self/b/c/file", "/loop", "/ping", "/ping/x", "/nowhere", "/none/../end", "/slash",
		"/dir-slash/c/file", "/dir-slashc/file", "/through", "/many", "/escape", "/etc/passwd", "/deep", "", strings.Repeat("/.", 2047) + "/end", strings.Repeat("x", 300),
		strings.Repeat("/.", 2045) + "/end",
		"/" + chainOf(files, 39), "/" + chainOf(files, maxLinks), "/" + chainOf(files, maxLinks+1),
	}
	root := testenv.Tree(t, files)
	dir, err := unix.Open(root, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(dir) }()
	kernel := func(name string) (*os.File, error) {
		fd, err := unix.Openat2(dir, name, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_CLOEXEC, Resolve: unix.RESOLVE_IN_ROOT})
		if err != nil {
			return nil, err
		}
		return os.NewFile(uintptr(fd), name), nil
	}
	if _, err := kernel("/end"); err != nil {
		testenv.Missing(t, fmt.Sprintf("a kernel to compare with, that has openat2 (%v)", err))
	}
	opened := 0
	for _, name := range names {
		shown := name[max(0, len(name)-40):]
		want, wantErr := contentOf(kernel(name))
		got, err := contentOf(openInRoot(dir, name))
		if got != want || !errors.Is(err, wantErr) {
			t.Errorf("%q: got %q, %v; the kernel says %q, %v", shown, got, err, want, wantErr)
		}
		if err == nil {
			opened++
		}
	}
	if opened < 20 || opened == len(names) {
		t.Errorf("%d of %d files were opened: the table compares nothing", opened, len(names))
	}
}

// contentOf reads a file to its end; of a directory that the kernel opened it says
// what openInRoot does.
func contentOf(f *os.File, err error) (string, error) {
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(f)
	if errors.Is(err, unix.EISDIR) {
		return "", errNotFile
	}
	return string(data), err
}

// What is no file is not opened: the open of a FIFO waits for a writer.
func TestOpenInRootOpensFilesOnly(t *testing.T) {
	root := testenv.Tree(t, map[string]string{"sbin/x": "x"})
	if err := unix.Mkfifo(filepath.Join(root, "sbin/init"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := FindInit(root, "/sbin/init"); err == nil || err.Error() != "init=/sbin/init: not a file: this root has no such program" {
		t.Errorf("a FIFO: %v", err)
	}
}

// Nothing is left open, whatever came of it.
func TestOpenInRootLeavesNothingOpen(t *testing.T) {
	root := testenv.Tree(t, map[string]string{"a/b/c/file": "x", "a/b/loop": "->loop", "a/b/link": "->/a/b/c/file"})
	count := func() int {
		entries, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			t.Fatal(err)
		}
		return len(entries)
	}
	before := count()
	for _, name := range []string{"/a/b/c/file", "/a/b/loop", "/a/b/link", "/a/b/c/none", "/a/b/c/../../b/c/file/x", "/a/b"} {
		_, _ = FindInit(root, name)
	}
	if after := count(); after != before {
		t.Errorf("%d descriptors are open, %d were", after, before)
	}
}

// Linux 4.18 has no openat2. The init is found, behind its links, and what is missing is
// told as everywhere.
func TestFindInitOldKernel(t *testing.T) {
	oldkernel.Under(t, oldkernel.Linux418(), func(t *testing.T) {
		root := testenv.Tree(t, map[string]string{"sbin": "->usr/sbin", "usr/sbin/init": "->/lib/systemd/systemd", "lib": "->usr/lib", "usr/lib/systemd/systemd": "#!/bin/sh\n"})
		if got, err := FindInit(root, ""); err != nil || got != "/sbin/init" {
			t.Errorf("got %q, %v; want /sbin/init", got, err)
		}
		if _, err := FindInit(root, "/x"); err == nil || err.Error() != "init=/x: no such file or directory: this root has no such program" {
			t.Errorf("missing: %v", err)
		}
	})
}

// A kernel that refuses the calls themselves says nothing about the disk.
func TestFindInitRefused(t *testing.T) {
	for name, errno := range map[string]unix.Errno{"ENOSYS": unix.ENOSYS, "EPERM": unix.EPERM, "EIO": unix.EIO} {
		t.Run(name, func(t *testing.T) {
			oldkernel.Under(t, []oldkernel.Rule{
				{Call: unix.SYS_OPENAT2, Errno: errno},
				// Only what openInRoot opens.
				{Call: unix.SYS_OPENAT, Args: []oldkernel.Arg{{Index: 2, Mask: unix.O_PATH | unix.O_NOFOLLOW, Value: unix.O_PATH | unix.O_NOFOLLOW}}, Errno: errno},
			}, func(t *testing.T) {
				root := testenv.Tree(t, map[string]string{"sbin/init": "#!/bin/sh\n"})
				for _, want := range []string{"", "/sbin/init"} {
					_, err := FindInit(root, want)
					if text := fmt.Sprint(err); text != "look for the root's init: /sbin/init: "+errno.Error() {
						t.Errorf("init=%s: %s", want, text)
					}
				}
			})
		})
	}
}
