package initramfs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/nodisk/nodisk/internal/infile"
)

// spoolMax bounds what is copied of a pipe: no boot loader loads a larger image.
const spoolMax = 4 << 30

// A Source is the file of an image. It is read in place, more than once and never as
// a whole: images of roots in RAM have gigabytes.
type Source struct {
	io.ReaderAt
	Size  int64 // in bytes
	close func() error
}

// NewSource returns what r holds. A regular file is read where it is, from its
// offset on; a pipe is copied into a temporary file without a name first, 4 GiB at
// most. The Source must be closed; r is left open.
func NewSource(ctx context.Context, r io.Reader) (*Source, error) {
	switch r := r.(type) {
	case *os.File:
		info, err := r.Stat()
		if err != nil {
			return nil, err
		}
		if !info.Mode().IsRegular() {
			break
		}
		from, err := r.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		size := max(info.Size()-from, 0)
		return &Source{ReaderAt: io.NewSectionReader(r, from, size), Size: size}, nil
	case interface {
		io.ReaderAt
		Size() int64
	}:
		return &Source{ReaderAt: r, Size: r.Size()}, nil
	}
	return spool(ctx, r)
}

// OpenSource opens the file of an image.
func OpenSource(ctx context.Context, name string) (*Source, error) {
	f, err := infile.Open(ctx, name)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, errors.Join(fmt.Errorf("open %s: it is a directory: give the file of an image", name), f.Close())
	}
	s, err := NewSource(ctx, f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	spooled := s.close
	s.close = func() error {
		err := f.Close()
		if spooled != nil {
			err = errors.Join(err, spooled())
		}
		return err
	}
	return s, nil
}

// BytesSource is an image that is in memory.
func BytesSource(data []byte) *Source {
	return &Source{ReaderAt: bytes.NewReader(data), Size: int64(len(data))}
}

// spool copies a stream into a temporary file that has no name any longer.
func spool(ctx context.Context, r io.Reader) (*Source, error) {
	f, err := os.CreateTemp("", "nodisk-")
	if err != nil {
		return nil, fmt.Errorf("copy the image to read it: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(fmt.Errorf("copy the image to read it: %w", err), f.Close())
	}
	n, err := io.Copy(f, io.LimitReader(infile.Heed(ctx, r), spoolMax+1))
	if err == nil && n > spoolMax {
		err = fmt.Errorf("more than %d GiB come through the pipe: write them into a file and give its name",
			spoolMax>>30)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("copy the image to read it: %w", err), f.Close())
	}
	return &Source{ReaderAt: f, Size: n, close: f.Close}, nil
}

// Close lets go of the file.
func (s *Source) Close() error {
	if s.close == nil {
		return nil
	}
	return s.close()
}

// UpTo is the beginning of a source.
func (s *Source) UpTo(size int64) *Source { return &Source{ReaderAt: s.ReaderAt, Size: size} }

// JoinSources puts sources one after the other as boot loaders put files: each but
// the last is padded with zeroes to a multiple of four bytes. Closing the result
// closes all.
func JoinSources(parts ...*Source) *Source {
	if len(parts) == 1 {
		return parts[0]
	}
	j := &joined{parts: parts}
	size := int64(0)
	for _, p := range parts {
		size += -size & 3
		j.from = append(j.from, size)
		size += p.Size
	}
	return &Source{ReaderAt: j, Size: size, close: j.close}
}

// joined are sources one after the other; from is where each begins.
type joined struct {
	parts []*Source
	from  []int64
}

// ReadAt implements io.ReaderAt.
func (j *joined) ReadAt(p []byte, off int64) (int, error) {
	n := 0
	for i, part := range j.parts {
		for n < len(p) {
			at := off + int64(n) - j.from[i]
			if at < 0 { // between two parts
				p[n] = 0
				n++
				continue
			}
			if at >= part.Size {
				break
			}
			m, err := part.ReadAt(p[n:n+int(min(int64(len(p)-n), part.Size-at))], at)
			n += m
			if err != nil && !errors.Is(err, io.EOF) || m == 0 {
				return n, err
			}
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (j *joined) close() error {
	errs := make([]error, 0, len(j.parts))
	for _, p := range j.parts {
		errs = append(errs, p.Close())
	}
	return errors.Join(errs...)
}
