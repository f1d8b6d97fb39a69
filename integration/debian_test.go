package integration

import (
	"errors"
	"os"
	"testing"
)

// debianTree unpacks the tree of a Debian release for a test.
func debianTree(t *testing.T, release string) string {
	t.Helper()
	if why := os.Getenv(refusedEnv); why != "" {
		lacks(t, why)
	}
	if !rootOutside() {
		lacks(t, "only root can unpack a Debian tree")
	}
	dir := t.TempDir()
	err := UnpackDebian(t.Context(), "../.cache", release, dir)
	if errors.Is(err, ErrNoDebian) {
		lacks(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
