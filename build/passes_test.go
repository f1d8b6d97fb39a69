package build

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/cpiotest"
	"github.com/nodisk/nodisk/build/initramfs"
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
	list := []cpiotest.File{
		cpiotest.Regular("init", "#!/bin/sh\n"), cpiotest.Dir("usr"), cpiotest.Dir("usr/lib"), cpiotest.Link("lib", "usr/lib"),
		cpiotest.Dir("etc"),
		cpiotest.Regular("etc/hosts", "10.0.0.1 a\n"), cpiotest.Dir("scripts"), cpiotest.Regular("scripts/functions", "#"),
		cpiotest.Dir("scripts/init-top"),
		cpiotest.Regular("scripts/init-top/ORDER", "#"), cpiotest.Dir("usr/lib/modprobe.d"), cpiotest.Dir("usr/lib/modules"),
	}
	for i := range files {
		dir := fmt.Sprintf("usr/lib/modules/%s.%d", release, i)
		list = append(list, cpiotest.Regular(fmt.Sprintf("usr/lib/modprobe.d/%d.conf", i), "options x y=1\n"), cpiotest.Dir(dir),
			cpiotest.Regular(dir+"/modules.dep", "x.ko:\n"), cpiotest.Regular(dir+"/x.ko", string(buildtest.ModuleStub("x", release))))
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(cpiotest.Archive(list...)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	reader := func(ctx context.Context, src *initramfs.Source) (*initramfs.Reader, error) {
		return initramfs.ReadSource(ctx, src, true)
	}
	for name, c := range map[string]struct {
		passes int64
		read   func(ctx context.Context, src *initramfs.Source) error
	}{
		"inspect": {1, func(ctx context.Context, src *initramfs.Source) error {
			_, err := initramfs.InspectSource(ctx, src, true)
			return err
		}},
		"check": {2, func(ctx context.Context, src *initramfs.Source) error {
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
		"base": {3, func(ctx context.Context, src *initramfs.Source) error { // one is for its hash
			b, err := readBase(ctx, src)
			if err == nil && string(b.tree.Get(initramfs.InitPath).Data) != "#!/bin/sh\n" {
				t.Error("the base's /init was not loaded")
			}
			return err
		}},
		"diff": {2, func(ctx context.Context, src *initramfs.Source) error {
			image, err := reader(ctx, src)
			if err != nil {
				return err
			}
			_, err = initramfs.Diff(ctx, image, image)
			return err
		}},
		"one file": {2, func(ctx context.Context, src *initramfs.Source) error {
			image, err := reader(ctx, src)
			if err != nil {
				return err
			}
			return image.WriteFile(ctx, io.Discard, "etc/hosts")
		}},
		"unpack": {2, func(ctx context.Context, src *initramfs.Source) error {
			image, err := reader(ctx, src)
			if err != nil {
				return err
			}
			_, err = image.Unpack(ctx, initramfs.Unpacking{Dir: t.TempDir()})
			return err
		}},
	} {
		file := &countedImage{ReaderAt: bytes.NewReader(packed.Bytes())}
		if err := c.read(t.Context(), &initramfs.Source{ReaderAt: file, Size: int64(packed.Len())}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if n := file.read.Load(); n > c.passes*int64(packed.Len()) {
			t.Errorf("%s: of an image of %d bytes, %d were read", name, packed.Len(), n)
		}
	}
}
