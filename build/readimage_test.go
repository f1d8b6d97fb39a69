package build

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/initramfs"
)

// An ImageFile is an entry of an image with its content.
type ImageFile struct {
	initramfs.File
	Data []byte // content of a regular file; nil for anything else
}

// ReadImage reads an image of any make with the content of its files, in the order of the
// archives.
func ReadImage(r io.Reader) ([]ImageFile, []initramfs.Segment, error) {
	ctx := context.Background()
	src, err := initramfs.NewSource(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	image, err := initramfs.ReadSource(ctx, src, false)
	if err != nil {
		return nil, nil, err
	}
	list := make([]ImageFile, len(image.Files))
	var regular []*initramfs.File
	place := make(map[*initramfs.File]int)
	for i := range image.Files {
		f := &image.Files[i]
		list[i].File = *f
		if f.Mode&initramfs.TypeMask == initramfs.TypeFile {
			regular, place[f] = append(regular, f), i
		}
	}
	err = image.Each(ctx, regular, func(f *initramfs.File, content io.Reader) (err error) {
		list[place[f]].Data, err = io.ReadAll(content)
		return err
	})
	return list, image.Segments, err
}

// imageOf is an archive as the images have them.
func imageOf(t testing.TB, files ...initramfs.Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := initramfs.WriteCPIO(&out, files, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// originOf is newOrigin of what is in memory.
func originOf(data []byte) origin {
	o, err := newOrigin(context.Background(), initramfs.BytesSource(data))
	if err != nil {
		panic(err) // there is nothing that could fail
	}
	return o
}
