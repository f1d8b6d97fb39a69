package filelock

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A lock that another has is waited for, after one message about it, and not longer than the
// context; it is had when the other gives it back.
func TestLock(t *testing.T) {
	at := filepath.Join(t.TempDir(), ".lock")
	open := func() *os.File {
		t.Helper()
		f, err := os.OpenFile(at, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	unlock, err := Lock(t.Context(), open(), func() { t.Error("it waits for a lock that nobody has") })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("asked to end"))
	defer cancel()
	if _, err := Lock(ctx, open(), nil); err == nil || !strings.Contains(err.Error(), "lock "+at+": asked to end") {
		t.Errorf("it is had twice, or the error does not say why not: %v", err)
	}
	waits := 0
	again, err := Lock(t.Context(), open(), func() {
		waits++
		if err := unlock(); err != nil {
			t.Error(err)
		}
	})
	if err != nil || waits != 1 {
		t.Fatalf("given back: %v, %d words about waiting", err, waits)
	}
	if err := again(); err != nil {
		t.Error(err)
	}
}

// What only another file system helps against says so.
func TestRefused(t *testing.T) {
	for err, want := range map[error]string{
		syscall.ENOLCK: "lock /x: no locks available: its file system has no locks (on NFS, check that lockd runs): " +
			"give a directory of another one",
		syscall.EIO: "lock /x: input/output error",
	} {
		if got := refused("/x", err); got.Error() != want || !errors.Is(got, err) {
			t.Errorf("got  %v\nwant %s", got, want)
		}
	}
}
