package initramfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/cpiotest"
)

// As many files as there may be for the size of the image are read, and not one more.
func TestFilesBySize(t *testing.T) {
	const files = 1<<18 + 4000
	one, header := archive(t, Entry{Name: "a", Mode: TypeFile | 0o644}), cpioHeader+len("a\x00")
	small := cpiotest.Packed(t, compress.Zstd, slices.Concat(bytes.Repeat(one[:header], files), one[header:]))
	size := 8 * (files + 1 - 1<<18) // the archive has a trailer
	if len(small) > size-8 {
		t.Fatalf("%d bytes are too many", len(small))
	}
	enough := slices.Concat(small, make([]byte, size-len(small)))
	if c, err := Inspect(bytes.NewReader(enough)); err != nil || len(c.Files) != files {
		t.Errorf("%d files, %v", len(c.Files), err)
	}
	want := fmt.Sprintf("more than %d files and archives in an image of %d bytes", files, size-8)
	if _, err := Inspect(bytes.NewReader(enough[:size-8])); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

// An image that would not be read is not made silently.
func TestWarnUnread(t *testing.T) {
	const files = 1<<18 + 100
	for bytes, want := range map[int64]bool{8 * 100: true, 8 * 101: false} {
		err := CheckReadable(Amount{},
			[]ArchiveBlocks{{Archive: Archive{Files: make([]Entry, files)}, blocks: []*block{}}}, bytes)
		if (err != nil) != want {
			t.Errorf("%d bytes: %v", bytes, err)
		}
	}
	err := CheckReadable(Amount{},
		[]ArchiveBlocks{{
			Archive: Archive{Files: []Entry{{Mode: TypeLink, Data: make([]byte, 65<<20)}}},
			blocks:  []*block{},
		}}, 1<<10)
	if err == nil || !strings.Contains(err.Error(), "64 MiB of file names and links' targets") {
		t.Errorf("links: %v", err)
	}
}

// An ending context ends when it was asked a number of times.
type endingContext struct {
	context.Context
	left int
}

func (c *endingContext) Err() error {
	if c.left--; c.left < 0 {
		return context.Canceled
	}
	return nil
}

// Whenever the context ends while an image is read and unpacked, that ends too, and leaves nothing. It is looked at for
// every file in every step.
func TestUnpackEnds(t *testing.T) {
	const empty = 20
	list := []cpiotest.File{cpiotest.Dir("d"), cpiotest.Dir("d/e"), cpiotest.Regular("d/f", "content"), cpiotest.Link("l", "d")}
	for i := range empty {
		list = append(list, cpiotest.Regular(fmt.Sprint("d/e/", i), ""))
	}
	locked := cpiotest.Dir("d/e/locked")
	locked.Mode = TypeDir
	image := cpiotest.Archive(append(list, locked)...)
	dir := filepath.Join(t.TempDir(), "out")
	for asked := 0; ; asked++ {
		ctx := &endingContext{t.Context(), asked}
		r, err := ReadSource(ctx, BytesSource(image), false)
		if err == nil {
			_, err = r.Unpack(ctx, Unpacking{Dir: dir})
		}
		if err == nil {
			if asked < 6*empty { // to read, and in five steps
				t.Errorf("asked %d times", asked)
			}
			break
		}
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("asked %d times: %v", asked, err)
		}
		if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
			t.Fatalf("asked %d times: what was made is left: %v", asked, err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "d/e/19")); err != nil {
		t.Error(err)
	}
	if os.Chmod(filepath.Join(dir, "d/e/locked"), 0o700) != nil {
		t.Error("the locked directory is not there")
	}
}

// What fails leaves nothing: no directory if there was none, else an empty one.
func TestUnpackFails(t *testing.T) {
	image := cpiotest.Archive(cpiotest.Dir("d"), cpiotest.Regular("d/one", "1"), cpiotest.Regular("d/two", "2"))
	long := cpiotest.Archive(cpiotest.Dir(strings.Repeat("a/", 100)), cpiotest.Dir("a"), cpiotest.Regular("l/x", "x"))
	deep := []cpiotest.File{cpiotest.Dir("a")}
	for depth := 2; depth < 2047; depth++ {
		deep = append(deep, cpiotest.Dir(strings.Repeat("a/", depth-1)+"a"))
	}
	deep = append(deep, cpiotest.Link("l", strings.Repeat("a/", 2045)+"a"), cpiotest.Regular("l/123456", "x"))
	for name, tt := range map[string]struct {
		image, later []byte // later is what the file holds when its content is read
		want         string
	}{
		"cut off": {image, image[:len(image)-300], "cut off"},
		"changed": {image, long, "has changed"},
		"deep":    {cpiotest.Archive(deep...), cpiotest.Archive(deep...), "a path of 4098 bytes, and Linux takes 4095"},
	} {
		t.Run(name, func(t *testing.T) {
			above := t.TempDir()
			for _, there := range []bool{false, true} {
				dir := filepath.Join(above, "out")
				if there {
					if err := os.Mkdir(dir, 0o755); err != nil {
						t.Fatal(err)
					}
				}
				r := readMemory(t, tt.image)
				r.src = BytesSource(tt.later)
				if _, err := r.Unpack(t.Context(), Unpacking{Dir: dir}); err == nil ||
					!strings.Contains(err.Error(), tt.want) {
					t.Errorf("error %v, want %q", err, tt.want)
				}
				entries, err := os.ReadDir(dir)
				if len(entries) > 0 || there != (err == nil) {
					t.Errorf("left: %v, %v", entries, err)
				}
			}
		})
	}
}
