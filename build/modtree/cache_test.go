package modtree

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// What a vendor's module uses, its symbols say, whatever "depends=" does.
func TestIndexesOfVendors(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib", "modules", buildtest.Release)
	for name, m := range map[string]kotest.Module{
		"kernel/a.ko":  {Name: "a", Exports: []ko.Symbol{{Name: "a_get"}}},
		"updates/v.ko": {Name: "v", OutOfTree: true, Imports: []ko.Import{{Name: "a_get"}}},
	} {
		m.Vermagic = buildtest.Release + " SMP "
		buildtest.Write(t, filepath.Join(dir, name), m.Bytes())
	}
	tr, _, _, err := Dir{Path: dir, Release: buildtest.Release}.Indexed(nil)
	if err != nil || !strings.Contains(string(tr.made["modules.dep"]), "updates/v.ko: kernel/a.ko\n") {
		t.Errorf("%v: %q", err, tr.made["modules.dep"])
	}
}

// Indexes are out of the cache while no file of the tree was touched; a damaged cache is none.
func TestIndexesOfCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "lib", "modules", buildtest.Release)
	at := filepath.Join(dir, "kernel", "a.ko")
	put := func(name string, m kotest.Module) {
		m.Vermagic, m.Pad = buildtest.Release+" SMP ", 4000
		buildtest.Write(t, filepath.Join(dir, "kernel", name), m.Bytes())
	}
	put("a.ko", kotest.Module{Name: "a", Depends: "b", Info: []ko.Field{{Key: "alias", Value: "one"}}})
	put("b.ko", kotest.Module{Name: "b"})
	kept := t.TempDir()
	list := func() map[string]fs.FileInfo {
		entries, err := os.ReadDir(kept)
		if err != nil {
			t.Fatal(err)
		}
		files := make(map[string]fs.FileInfo)
		for _, e := range entries {
			if files[e.Name()], err = e.Info(); err != nil {
				t.Fatal(err)
			}
		}
		return files
	}
	// text is an index as a run of nodisk sees it, and whether it was in the cache: else a file is new there.
	text := func(name string) (string, bool) {
		before := list()
		tr, notes, _, err := Dir{Path: dir, Release: buildtest.Release}.Indexed(cache.New(kept))
		if err != nil || len(notes) != 1 {
			t.Fatalf("%v, notes %q", err, notes)
		}
		found := true
		for name, info := range list() {
			found = found && before[name] != nil && os.SameFile(before[name], info)
		}
		return string(tr.made[name]), found
	}
	check := func(when, want string, cached bool) {
		t.Helper()
		if got, was := text("modules.alias"); !strings.Contains(got, "alias "+want+" a\n") || was != cached {
			t.Errorf("%s: from the cache %v, want %v, and %s:\n%s", when, was, cached, want, got)
		}
	}
	check("first", "one", false)
	check("again", "one", true)
	info, err := os.Stat(at)
	if err != nil {
		t.Fatal(err)
	}
	put("a.ko", kotest.Module{Name: "a", Depends: "b", Info: []ko.Field{{Key: "alias", Value: "two"}}})
	if err := os.Chtimes(at, info.ModTime(), info.ModTime()); err != nil { // as cp -p: the same size and time
		t.Fatal(err)
	}
	check("another file", "two", false)
	check("again", "two", true)
	put("c.ko", kotest.Module{Name: "c"})
	check("one more", "two", false)
	entries, err := os.ReadDir(kept)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := filepath.Join(kept, e.Name())
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 0xff
		buildtest.Write(t, name, data)
	}
	check("damaged", "two", false)
	for _, e := range entries {
		buildtest.Write(t, filepath.Join(kept, e.Name()), nil)
	}
	check("empty", "two", false)
	check("mended", "two", true)
	old := time.Now().Add(-time.Hour)
	for _, e := range entries { // as old as it looks, so the first to go
		if err := os.Chtimes(filepath.Join(kept, e.Name()), old, old); err != nil {
			t.Fatal(err)
		}
	}
	check("used", "two", true)
	if fresh := slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		info, err := os.Stat(filepath.Join(kept, e.Name()))
		return err == nil && info.ModTime().After(old)
	}); !fresh {
		t.Error("use does not keep it from being trimmed")
	}
}
