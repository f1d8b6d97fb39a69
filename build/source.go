package build

import (
	"bytes"
	"crypto/sha1" //nolint:gosec // SPDX 2.3, 8.4: every file has a SHA1
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// A source is a file of the build machine whose content goes into the image. It is read
// once, while the image is written: none of it is kept in memory.
type source struct {
	at    string
	stamp stamp
	sums  *sourceSums // filled while it is read; nil: nobody wants them
}

// A stamp reports whether a file is still what it was when the image was laid out.
type stamp struct {
	dev, ino uint64
	size     int64
	mtime    int64 // nanoseconds since 1970
}

// errChanged is about a source that is not what it was when the image was laid out.
var errChanged = errors.New("it changed while the image was made: try again when nobody writes to it, or leave it " +
	"out with --exclude")

// changed explains how a source differs from what it was.
func (s *source) changed(now stamp) error {
	switch was := s.stamp; {
	case now.dev != was.dev || now.ino != was.ino:
		return fmt.Errorf("add %s: another file took its place: %w", s.at, errChanged)
	case now.size != was.size:
		return fmt.Errorf("add %s: %d bytes became %d: %w", s.at, was.size, now.size, errChanged)
	case now.mtime != was.mtime:
		return fmt.Errorf("add %s: %w", s.at, errChanged)
	}
	return nil
}

// sourceSums are the hashes of a content, for an SBOM.
type sourceSums struct{ sha1, sha256 hash.Hash }

func newSourceSums() *sourceSums {
	return &sourceSums{sha1.New(), sha256.New()} //nolint:gosec // SPDX 2.3, 8.4
}

func (s *sourceSums) add(p []byte) {
	_, _ = s.sha1.Write(p) // a hash takes everything
	_, _ = s.sha256.Write(p)
}

// size is how many bytes the content of a file has.
func (f file) size() int64 {
	if f.source != nil {
		return f.source.stamp.size
	}
	return int64(len(f.data))
}

// holds reports whether the content of a file is data. A source that cannot be read does
// not hold it: whoever writes it into the image says why.
func (f file) holds(data []byte) bool {
	if f.source == nil {
		return bytes.Equal(f.data, data)
	}
	if f.size() != int64(len(data)) {
		return false
	}
	open, err := openSource(f.source)
	if err != nil {
		return false
	}
	defer open.close() //nolint:errcheck // nothing was written
	got := make([]byte, len(data))
	_, err = io.ReadFull(open, got)
	return err == nil && bytes.Equal(got, data)
}

// hashes reports whether the content of a file has a hash, in the same way.
func (f file) hashes(sum [sha256.Size]byte) bool {
	if f.source == nil {
		return sha256.Sum256(f.data) == sum
	}
	open, err := openSource(f.source)
	if err != nil {
		return false
	}
	defer open.close() //nolint:errcheck // nothing was written
	h := sha256.New()
	_, err = io.Copy(h, io.LimitReader(open, f.size()))
	return err == nil && [sha256.Size]byte(h.Sum(nil)) == sum
}
