package pxe

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// A full file system: the file is named, nothing half is there, and with room
// the next call makes it right.
func TestWriteFull(t *testing.T) {
	if !testenv.Namespace(t, unix.CLONE_NEWNS) {
		return
	}
	dir := t.TempDir()
	mount := func(flags uintptr, size string) {
		t.Helper()
		if err := unix.Mount("tmpfs", dir, "tmpfs", flags, "size="+size); err != nil {
			t.Fatal(err)
		}
	}
	mount(0, "256k")
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	var wanted []File
	for _, name := range []string{"grub/a", "grub/b", "grub/c", "grub/d", "grub/e", "grub/f"} {
		wanted = append(wanted, File{Path: name, Data: bytes.Repeat([]byte(name), 10_000)})
	}
	_, err := Write(t.Context(), dir, wanted, false, nil)
	if err == nil || !strings.HasPrefix(err.Error(), "write grub/e: no space left on device: 4 of 6 files are as "+
		"they should be") {
		t.Errorf("%v", err)
	}
	for name, text := range contents(t, dir) {
		if text != strings.Repeat(name, 10_000) {
			t.Errorf("%s has %d bytes", name, len(text))
		}
	}
	mount(unix.MS_REMOUNT, "1m")
	got, err := Write(t.Context(), dir, wanted, false, nil)
	if err != nil || got.Unchanged != 4 || len(got.Written) != 2 {
		t.Errorf("with room: %v, %v", got, err)
	}
	list, err := os.ReadDir(filepath.Join(dir, "grub"))
	if err != nil || len(list) != 6 {
		t.Errorf("%d files, %v", len(list), err)
	}
}

// Where there is no room for a byte the directory is named, which the names of the files do not say, and what to do.
func TestWriteFullAtOnce(t *testing.T) {
	if !testenv.Namespace(t, unix.CLONE_NEWNS) {
		return
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Unmount(dir, unix.MNT_DETACH) })
	if err := os.WriteFile(filepath.Join(dir, "image"), make([]byte, 16<<10), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Write(t.Context(), dir, files("grub/a", "1"), false, nil)
	if want := "write .nodisk-pxe: no space left on device; the file system of " + dir + " has no room for it: make " +
		"room there, or give another directory"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}
