package build

import (
	"bytes"
	"context"
	"io"
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

// unpackFiles is unpackTree with contents.
func unpackFiles(list []ImageFile) *unpacked {
	files := make([]File, len(list))
	data := make(map[*File][]byte)
	for i := range list {
		files[i] = list[i].File
		if files[i].Mode&typeMask == typeFile {
			files[i].Size = int64(len(list[i].Data))
			data[&files[i]] = list[i].Data
		}
	}
	t, err := unpackTree(context.Background(), files)
	if err != nil {
		panic(err) // no test is that large
	}
	t.walk("", t.root, func(_ string, n *inode) {
		if n.is(typeFile) {
			n.data = data[n.body]
		}
	})
	return t
}

// originOf is newOrigin of what is in memory.
func originOf(data []byte) origin {
	o, err := newOrigin(context.Background(), memorySource(data))
	if err != nil {
		panic(err) // there is nothing that could fail
	}
	return o
}

func memorySource(data []byte) *Source {
	return &Source{ReaderAt: bytes.NewReader(data), Size: int64(len(data))}
}

// inspect is Inspect with a limit for what may be unpacked.
func inspect(data []byte, maxRaw int64) (Contents, error) {
	return listing{maxRaw: maxRaw}.read(context.Background(), memorySource(data))
}
