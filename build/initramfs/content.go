package initramfs

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // SPDX 2.3, 8.4: every file has a SHA1
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A Content is a file of the build machine whose content goes into the image. It is read
// once, while the image is written: none of it is kept in memory.
type Content struct {
	At    string
	Stamp Stamp
	Sums  *Sums // filled while it is read; nil: nobody wants them
}

// A Stamp reports whether a file is still what it was when the image was laid out.
type Stamp struct {
	Dev, Ino uint64
	Size     int64
	MTime    int64 // nanoseconds since 1970
}

// errChanged is about a source that is not what it was when the image was laid out.
var errChanged = errors.New("it changed while the image was made: try again when nobody writes to it, or leave it " +
	"out with --exclude")

// changed explains how a source differs from what it was.
func (s *Content) changed(now Stamp) error {
	switch was := s.Stamp; {
	case now.Dev != was.Dev || now.Ino != was.Ino:
		return fmt.Errorf("add %s: another file took its place: %w", s.At, errChanged)
	case now.Size != was.Size:
		return fmt.Errorf("add %s: %d bytes became %d: %w", s.At, was.Size, now.Size, errChanged)
	case now.MTime != was.MTime:
		return fmt.Errorf("add %s: %w", s.At, errChanged)
	}
	return nil
}

// Sums are the hashes of a content, for an SBOM.
type Sums struct{ SHA1, SHA256 hash.Hash }

// NewSums are the hashes of nothing yet.
func NewSums() *Sums {
	return &Sums{sha1.New(), sha256.New()} //nolint:gosec // SPDX 2.3, 8.4
}

// Add hashes the next bytes of the content.
func (s *Sums) Add(p []byte) {
	_, _ = s.SHA1.Write(p) // a hash takes everything
	_, _ = s.SHA256.Write(p)
}

// size is how many bytes the content of a file has.
func (f Entry) size() int64 {
	if f.Source != nil {
		return f.Source.Stamp.Size
	}
	return int64(len(f.Data))
}

// holds reports whether the content of a file is data. A source that cannot be read does
// not hold it: whoever writes it into the image says why.
func (f Entry) holds(data []byte) bool {
	if f.Source == nil {
		return bytes.Equal(f.Data, data)
	}
	if f.size() != int64(len(data)) {
		return false
	}
	open, err := openSource(f.Source)
	if err != nil {
		return false
	}
	defer open.close() //nolint:errcheck // nothing was written
	got := make([]byte, len(data))
	_, err = io.ReadFull(open, got)
	return err == nil && bytes.Equal(got, data)
}

// hashes reports whether the content of a file has a hash, in the same way.
func (f Entry) hashes(sum [sha256.Size]byte) bool {
	if f.Source == nil {
		return sha256.Sum256(f.Data) == sum
	}
	open, err := openSource(f.Source)
	if err != nil {
		return false
	}
	defer open.close() //nolint:errcheck // nothing was written
	h := sha256.New()
	_, err = io.Copy(h, io.LimitReader(open, f.size()))
	return err == nil && [sha256.Size]byte(h.Sum(nil)) == sum
}
