// Package unpack undoes the compression of kernel module files: xz, zstd and
// gzip, the three that modules_install knows.
//
// It is apart from modload for its size: an /init whose image holds plain
// modules, or whose kernel unpacks them itself, does not link it. Give
// [Module] to modload.LoaderConfig.Decompress to have it in.
//
// The decoders are those of klauspost/compress and mikelolasagasti/xz. What is
// added here are bounds of memory, no goroutines, and errors that say what to do.
package unpack

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxWindow bounds the memory a file may ask for: modules_install packs with
// windows of 2 MiB (xz) and 8 MiB (zstd -19).
const maxWindow = 64 << 20

// Module returns the plain module from one whose file name ends in .xz, .zst
// or .gz. Any other name is returned as it is.
//
// The file's window may have 64 MiB, and of xz it is allocated whole, also for a short
// module: xz -9 writes that much into every file. Nothing else that is kept depends on
// what the file says. Whoever reads bounds the length of the plain module.
func Module(path string, r io.Reader) (io.Reader, error) {
	switch {
	case strings.HasSuffix(path, ".xz"):
		return XZ(r, maxWindow)
	case strings.HasSuffix(path, ".zst"):
		return newZstd(r)
	case strings.HasSuffix(path, ".gz"):
		g, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("read gzip: %w", err)
		}
		return g, nil
	}
	return r, nil
}

// A stream is what a library unpacks, with our sentences for its errors.
type stream struct {
	name  string // of the format, for errors
	src   *source
	plain io.Reader
	means func(err error) error
}

// Read implements io.Reader.
func (s *stream) Read(p []byte) (int, error) {
	n, err := s.plain.Read(p)
	return n, s.explain(err)
}

func (s *stream) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case s.src.err != nil: // whatever the library made of it
		err = s.src.err
	case errors.Is(err, io.EOF) && !s.src.begun: // to klauspost, nothing at all is nothing packed
		err = errCut
	case errors.Is(err, io.EOF):
		return io.EOF
	default:
		err = s.means(err)
	}
	return fmt.Errorf("read %s: %w", s.name, err)
}

// A source is the packed file. It remembers what became of reading it, which
// libraries mistake for a damaged file.
type source struct {
	io.Reader
	begun bool  // a byte was read
	err   error // other than io.EOF
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	n, err := s.Reader.Read(p)
	s.begun = s.begun || n > 0
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

var (
	errDamaged = errors.New("the file is damaged")
	errCut     = fmt.Errorf("%w: it ends too early: %w", errDamaged, io.ErrUnexpectedEOF)
)

func damaged(what string) error { return fmt.Errorf("%w: %s", errDamaged, what) }
