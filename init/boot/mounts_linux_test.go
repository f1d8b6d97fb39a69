package boot

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// privately runs what changes mounts in a thread with mounts of its own, which
// ends with it.
func privately(t *testing.T, do func(t *testing.T)) {
	t.Helper()
	if os.Getuid() != 0 {
		testenv.Missing(t, "root")
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the runtime ends the thread
		err := unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS)
		if err == nil {
			err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
		}
		if err == nil {
			do(t)
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// Whatever is on the directory goes, however often, and nothing follows the end
// of the attempt: what is there by then is of a later one.
func TestDetachAll(t *testing.T) {
	dir := t.TempDir()
	privately(t, func(t *testing.T) {
		for range 2 {
			if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
				t.Error(err)
				return
			}
		}
		ended, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("the stage has ended"))
		err := detachAll(ended, dir)
		if err == nil || !strings.Contains(err.Error(), "unmount "+dir+": the stage has ended") || !mounted(dir) {
			t.Errorf("after the end: %v, mounted: %v", err, mounted(dir))
		}
		for range 2 { // nothing is there the second time
			if err := detachAll(t.Context(), dir); err != nil || mounted(dir) {
				t.Errorf("%v, mounted: %v", err, mounted(dir))
			}
		}
		if err := detachAll(t.Context(), filepath.Join(dir, "none")); err != nil {
			t.Errorf("a directory that is not there: %v", err)
		}
	})
}

// The wait ends with the stage, whatever the kernel does.
func TestUnmountAllEndsWithItsStage(t *testing.T) {
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the stage has ended"))
	if err := unmountAll(ended, t.TempDir()); err == nil || !strings.Contains(err.Error(), "the stage has ended") {
		t.Errorf("%v", err)
	}
}
