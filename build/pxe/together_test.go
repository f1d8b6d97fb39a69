package pxe

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// byName is what contents returns of a directory that has these files and no other.
func byName(list []File) map[string]string {
	all := make(map[string]string, len(list))
	for _, f := range list {
		all[f.Path] = string(f.Data)
	}
	return all
}

// Two calls at once into one directory, of one list or of two: it is as the later one leaves it, no file has
// another's contents, and the list of own files is of these, so that the next call goes on without force.
func TestWriteTogether(t *testing.T) {
	const rounds, nodes = 30, 40
	list := func(server string) []File {
		var all []File
		for i := range nodes {
			// Some of its own, most under a name that the other has as well.
			name := fmt.Sprintf("pxelinux.cfg/%s%02d", server[:i%4/3], i)
			all = append(all, File{Path: name, Data: fmt.Appendf(nil, "root=iscsi:%s:node%d %s",
				server, i, strings.Repeat("x", i*100))})
		}
		return all
	}
	one, two := list("a"), list("b")
	for name, lists := range map[string][2][]File{"one list": {one, one}, "two lists": {one, two}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for round := range rounds {
				var errs [2]error
				var all sync.WaitGroup
				for i, wanted := range lists {
					all.Go(func() { _, errs[i] = Write(t.Context(), dir, wanted, false, nil) })
				}
				all.Wait()
				for _, err := range errs {
					if err != nil {
						t.Errorf("round %d: %v", round, err)
					}
				}
				have := contents(t, dir)
				if !maps.Equal(have, byName(lists[0])) && !maps.Equal(have, byName(lists[1])) {
					for name, text := range have {
						root, _, _ := strings.Cut(text, " ")
						t.Logf("%s: %s", name, root)
					}
					t.Fatalf("round %d: the directory is of neither list", round)
				}
				root, err := os.OpenRoot(dir)
				if err != nil {
					t.Fatal(err)
				}
				ours, err := readManifest(root)
				if err := root.Close(); err != nil {
					t.Fatal(err)
				}
				want := map[string][]string{}
				for name, text := range have {
					want[name] = []string{sumOf([]byte(text))}
				}
				if diff := cmp.Diff(want, ours); diff != "" || err != nil {
					t.Fatalf("round %d: list of own files: %v (-want +got):\n%s", round, err, diff)
				}
				// The next round begins with files of a third.
				if _, err := Write(t.Context(), dir, one[:round%nodes], false, nil); err != nil {
					t.Fatalf("round %d: the next call: %v", round, err)
				}
			}
			if left, err := filepath.Glob(filepath.Join(dir, "pxelinux.cfg", temporary+"*")); err != nil ||
				left != nil {
				t.Errorf("left behind: %v, %v", left, err)
			}
		})
	}
}

// A call that waits for another says so, and heeds its context.
func TestWriteWaits(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close() //nolint:errcheck // a directory
	unlock, err := lock(t.Context(), root, dir, func(s string) { t.Errorf("told: %s", s) })
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	var told []string
	_, err = Write(ctx, dir, files("a", "1"), false, func(s string) {
		told = append(told, s)
		cancel(errors.New("asked to end"))
	})
	if want := "lock " + filepath.Join(dir, lockName) + ": asked to end"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if diff := cmp.Diff([]string{"waiting for another nodisk pxe, which writes to " + dir}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if have := contents(t, dir); len(have) > 0 {
		t.Errorf("written all the same: %v", have)
	}
	done, err := Write(t.Context(), dir, files("a", "1"), false, func(string) {
		if err := unlock(); err != nil {
			t.Error(err)
		}
	})
	if err != nil || len(done.Written) != 1 {
		t.Errorf("after the other: %v, %v", done, err)
	}
}
