package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// A countedImage counts the bytes that are read of an image.
type countedImage struct {
	io.ReaderAt
	read atomic.Int64
}

func (c *countedImage) ReadAt(p []byte, off int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, off)
	c.read.Add(int64(n))
	return n, err
}

// No reader of an image unpacks it more often for having more files: each pass reads all of its file once.
func TestPasses(t *testing.T) {
	const (
		files   = 50
		release = "6.1.0"
	)
	list := []archived{
		fileEntry("init", "#!/bin/sh\n"), dirEntry("usr"), dirEntry("usr/lib"), linkEntry("lib", "usr/lib"), dirEntry("etc"),
		fileEntry("etc/hosts", "10.0.0.1 a\n"), dirEntry("scripts"), fileEntry("scripts/functions", "#"), dirEntry("scripts/init-top"),
		fileEntry("scripts/init-top/ORDER", "#"), dirEntry("usr/lib/modprobe.d"), dirEntry("usr/lib/modules"),
	}
	for i := range files {
		dir := fmt.Sprintf("usr/lib/modules/%s.%d", release, i)
		list = append(list, fileEntry(fmt.Sprintf("usr/lib/modprobe.d/%d.conf", i), "options x y=1\n"), dirEntry(dir),
			fileEntry(dir+"/modules.dep", "x.ko:\n"), fileEntry(dir+"/x.ko", string(moduleStub("x", release))))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(newc(list...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	reader := func(ctx context.Context, src *Source) (*ImageReader, error) { return ReadSource(ctx, src, true) }
	for name, c := range map[string]struct {
		passes int64
		read   func(ctx context.Context, src *Source) error
	}{
		"inspect": {1, func(ctx context.Context, src *Source) error {
			_, err := InspectSource(ctx, src, true)
			return err
		}},
		"check": {2, func(ctx context.Context, src *Source) error {
			image, err := reader(ctx, src)
			if err != nil {
				return err
			}
			c := checkedImage{files: make(map[string]bool), dep: make(map[string]string)}
			if err := c.read(ctx, image); err != nil {
				return err
			}
			if len(c.modules) != files || len(c.dep) != files || c.dep[release+".7"] != "x.ko:\n" {
				t.Errorf("check found %d modules, %d indexes", len(c.modules), len(c.dep))
			}
			return nil
		}},
		"base": {3, func(ctx context.Context, src *Source) error { // one is for its hash
			b, err := readBase(ctx, src)
			if err == nil && string(b.tree.get(initPath).data) != "#!/bin/sh\n" {
				t.Error("the base's /init was not loaded")
			}
			return err
		}},
		"diff": {2, func(ctx context.Context, src *Source) error {
			image, err := reader(ctx, src)
			if err != nil {
				return err
			}
			_, err = Diff(ctx, image, image)
			return err
		}},
		"one file": {2, func(ctx context.Context, src *Source) error {
			image, err := reader(ctx, src)
			if err != nil {
				return err
			}
			return image.WriteFile(ctx, io.Discard, "etc/hosts")
		}},
		"unpack": {2, func(ctx context.Context, src *Source) error {
			image, err := reader(ctx, src)
			if err != nil {
				return err
			}
			_, err = image.Unpack(ctx, Unpacking{Dir: t.TempDir()})
			return err
		}},
	} {
		file := &countedImage{ReaderAt: bytes.NewReader(packed.Bytes())}
		if err := c.read(t.Context(), &Source{ReaderAt: file, Size: int64(packed.Len())}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := file.read.Load(); n > c.passes*int64(packed.Len()) {
			t.Errorf("%s: of an image of %d bytes, %d were read", name, packed.Len(), n)
		}
	}
}

// What was not loaded can be looked up, and not read.
func TestNotLoaded(t *testing.T) {
	data := newc(dirEntry("d"), fileEntry("d/a", "aa"), fileEntry("d/b", "bbb"), fileEntry("d/empty", ""))
	r, err := ReadSource(t.Context(), bytesSource(data), false)
	if err != nil {
		t.Fatal(err)
	}
	var visited []string
	err = r.Read(t.Context(), []string{"d/a", "d/none"},
		func(name string) bool { return strings.HasPrefix(name, "d/") },
		func(names []string, size int64, content io.Reader) error {
			text, err := io.ReadAll(content)
			visited = append(visited, fmt.Sprintf("%v %d %s", names, size, text))
			return err
		})
	if want := "[[d/a] 2 aa [d/b] 3 bbb [d/empty] 0 ]"; err != nil || fmt.Sprint(visited) != want {
		t.Errorf("visited %v, %v, want %s", visited, err, want)
	}
	sub, err := fs.Sub(r.FS(), "d")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "aa", "empty": ""} {
		if text, err := fs.ReadFile(sub, name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if info, err := fs.Stat(sub, "b"); err != nil || info.Size() != 3 {
		t.Errorf("d/b: %v, %v", info, err)
	}
	if _, err := fs.ReadFile(sub, "b"); err == nil ||
		!strings.HasSuffix(err.Error(), "it was not loaded from the image") {
		t.Errorf("d/b was read: %v", err)
	}
}
