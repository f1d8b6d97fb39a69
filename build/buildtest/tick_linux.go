package buildtest

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Tick returns when a file written now has a later time than one that was written before.
func Tick(t *testing.T, before string) {
	t.Helper()
	changed := func(at string) time.Time {
		info, err := os.Stat(at)
		if err != nil {
			t.Fatal(err)
		}
		return time.Unix(info.Sys().(*syscall.Stat_t).Ctim.Unix()) //nolint:forcetypeassert // of a file on disk
	}
	old := changed(before)
	at := filepath.Join(t.TempDir(), "now")
	for {
		Write(t, at, nil)
		if changed(at).After(old) {
			return
		}
	}
}
