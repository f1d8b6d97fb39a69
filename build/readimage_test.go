package build

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"
)

// An ImageFile is an entry of an image with its content.
type ImageFile struct {
	File
	Data []byte // content of a regular file; nil for anything else
}

// ReadImage reads an image of any make with the content of its files, in the order of the
// archives.
func ReadImage(r io.Reader) ([]ImageFile, []Segment, error) {
	ctx := context.Background()
	src, err := NewSource(ctx, r)
	if err != nil {
		return nil, nil, err
	}
	image, err := ReadSource(ctx, src, false)
	if err != nil {
		return nil, nil, err
	}
	list := make([]ImageFile, len(image.Files))
	var regular []*File
	place := make(map[*File]int)
	for i := range image.Files {
		f := &image.Files[i]
		list[i].File = *f
		if f.Mode&typeMask == typeFile {
			regular, place[f] = append(regular, f), i
		}
	}
	err = image.contents(ctx, regular, func(f *File, content io.Reader) (err error) {
		list[place[f]].Data, err = io.ReadAll(content)
		return err
	})
	return list, image.Segments, err
}

// imageOf is an archive as the images have them.
func imageOf(t testing.TB, files ...file) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := writeCPIO(&out, files, time.Unix(0, 0)); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// originOf is newOrigin of what is in memory.
func originOf(data []byte) origin {
	o, err := newOrigin(context.Background(), bytesSource(data))
	if err != nil {
		panic(err) // there is nothing that could fail
	}
	return o
}

// inspect is Inspect with a limit for what may be unpacked.
func inspect(data []byte, maxRaw int64) (Contents, error) {
	return listing{maxRaw: maxRaw}.read(context.Background(), bytesSource(data))
}
