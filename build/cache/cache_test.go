package cache

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
)

func TestCache(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cache")
	raw := bytes.Repeat([]byte("a module of its own "), 1000)
	made := 0
	ask := func(c *Cache) []byte {
		t.Helper()
		packed, err := c.Packed(compress.LZ4, raw, true, func() ([]byte, error) {
			made++
			return compress.LZ4Sized(t.Context(), raw, func(int) {})
		})
		if err != nil {
			t.Fatal(err)
		}
		return packed
	}
	first := ask(New(dir))
	for range 2 {
		if again := ask(New(dir)); !bytes.Equal(first, again) || made != 1 {
			t.Fatalf("made %d times, want once", made)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("the directory has %v, %v", entries, err)
	}
	at := filepath.Join(dir, entries[0].Name())
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("directory %v, %v; want it for its owner alone", info, err)
	}
	other, err := compress.LZ4Sized(t.Context(), bytes.Repeat([]byte("something else here "), 1000), func(int) {})
	if err != nil {
		t.Fatal(err)
	}
	for name, planted := range map[string][]byte{
		"damaged": append(bytes.Clone(first[:len(first)-1]), first[len(first)-1]^1), "empty": {},
		"cut off": first[:len(first)/2], "another": other,
	} {
		made = 0
		buildtest.Write(t, at, planted)
		if got := ask(New(dir)); !bytes.Equal(got, first) || made != 1 {
			t.Errorf("%s: made %d times, the right block: %v", name, made, bytes.Equal(got, first))
		}
	}
}

func TestCacheMaker(t *testing.T) {
	dir := t.TempDir()
	raw := []byte("070701")
	for _, want := range []string{"one", "two"} {
		c := New(dir)
		c.maker = want
		asked := false
		if _, err := c.Packed(compress.LZ4, raw, true, func() ([]byte, error) {
			asked = true
			return compress.LZ4Sized(t.Context(), raw, func(int) {})
		}); err != nil || !asked {
			t.Errorf("%s takes what another program left: %v", want, err)
		}
	}
}

func TestCacheTrim(t *testing.T) {
	dir := t.TempDir()
	c := New(dir)
	c.limit = 2500
	for i := range 5 {
		raw := fmt.Appendf(nil, "%d", i)
		if _, err := c.Packed(compress.LZ4, raw, true, func() ([]byte, error) { return make([]byte, 1000), nil }); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range entries { // the first are the oldest
		when := time.Unix(int64(1000+i), 0)
		if err := os.Chtimes(filepath.Join(dir, e.Name()), when, when); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.Trim(); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	names := func(list []os.DirEntry) (names []string) {
		for _, e := range list {
			names = append(names, e.Name())
		}
		return names
	}
	if diff := cmp.Diff(names(entries[3:]), names(left)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
