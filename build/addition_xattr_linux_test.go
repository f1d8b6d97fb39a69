package build

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/build/buildtest"
)

// Extended attributes, which the format cannot hold, are told: capabilities by a warning that says what stops
// working, others by a note, links not followed.
func TestAddAttributes(t *testing.T) {
	asRoot(t)
	dir := t.TempDir()
	ping, labelled := filepath.Join(dir, "ping"), filepath.Join(dir, "labelled")
	// CAP_NET_RAW permitted and effective, revision 2 (struct vfs_cap_data of linux/capability.h).
	raw := []byte{1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	err := errors.Join(
		os.WriteFile(ping, []byte("p"), 0o600), os.WriteFile(labelled, []byte("l"), 0o600),
		os.Symlink("ping", filepath.Join(dir, "link")),
		unix.Lsetxattr(ping, capabilityAttribute, raw, 0),
		unix.Lsetxattr(labelled, "trusted.nodisk", []byte("x"), 0),
	)
	if err != nil {
		t.Fatal(err)
	}
	s := testSpec(t, buildtest.Tree(t))
	s.Add = []Addition{{dir, "/x"}}
	r, _ := makeImage(t, s)
	about := func(list []string, what string) string {
		i := slices.IndexFunc(list, func(text string) bool { return strings.Contains(text, what) })
		if i < 0 {
			return ""
		}
		return list[i]
	}
	if got := about(r.Warnings, "capabilities of 1 file"); !strings.Contains(got, "ping") ||
		!strings.Contains(got, "setcap on the node") {
		t.Errorf("warnings %q", r.Warnings)
	}
	if got := about(r.Notes, "attributes"); !strings.Contains(got, "labelled") || strings.Contains(got, "ping") {
		t.Errorf("notes %q", r.Notes)
	}
}
