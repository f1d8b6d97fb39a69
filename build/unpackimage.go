package build

import (
	"bytes"
	"fmt"
	"io"
)

// readMaxRaw bounds what ReadImage keeps in memory.
const readMaxRaw = 2 << 30

// An ImageFile is a file of an image with its content. Hard links are entries
// of their own with one Ino and NLink above 1; as cpio writes them, the last has the
// content, the others have none.
type ImageFile struct {
	File
	Data     []byte // content of a regular file; nil for anything else
	Ino      uint32
	NLink    uint32
	MTime    uint32 // seconds since 1970
	UID, GID uint32
}

// ReadImage reads an image of any make, as the kernel would, with the content
// of its files, in the order of the archives: of two files of one name the later
// is the one a node has. At most 2 GiB are unpacked.
func ReadImage(r io.Reader) ([]ImageFile, []Segment, error) {
	data, err := readWhole(r)
	if err != nil {
		return nil, nil, fmt.Errorf("read image: %w", err)
	}
	var files []ImageFile
	var u unpacking
	u.keep = func(f File, e cpioEntry, in *cpioReader) error {
		kept := ImageFile{File: f, Ino: e.ino, NLink: e.nlink, MTime: e.mtime, UID: e.uid, GID: e.gid}
		if f.Mode&typeMask == typeFile {
			content, err := in.all()
			if err != nil {
				return err
			}
			kept.Data = content
			if cleanName(f.Name) == configPath { // its beginning has been read
				kept.Data = append([]byte(u.Config), content...)
			}
		}
		files = append(files, kept)
		return nil
	}
	if err := u.image(data, readMaxRaw); err != nil {
		return nil, nil, fmt.Errorf("read image%w", err)
	}
	return files, u.Segments, nil
}

// all reads the whole content of the current file. Memory is taken as the
// content comes: a header may say anything.
func (c *cpioReader) all() ([]byte, error) {
	const first = 1 << 20
	if c.left <= first {
		return c.content(first)
	}
	var buf bytes.Buffer
	buf.Grow(first)
	n, err := io.CopyN(&buf, c.r, c.left)
	c.at += n
	c.left -= n
	return buf.Bytes(), c.short(err)
}
