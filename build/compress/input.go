package compress

import (
	"bufio"
	"context"
	"errors"
	"io"

	"github.com/nodisk/nodisk/internal/infile"
)

// InputBuffer is how much of a source is read at a time.
const InputBuffer = 64 << 10

// An Input reads a file from one end to the other, and knows where it is.
type Input struct {
	*bufio.Reader
	ctx     context.Context //nolint:containedctx // of one pass over the file
	section *io.SectionReader
	size    int64
}

// NewInput reads the first size bytes of r, until ctx ends.
func NewInput(ctx context.Context, r io.ReaderAt, size int64) *Input {
	in := &Input{ctx: ctx, section: io.NewSectionReader(r, 0, size), size: size}
	in.Reader = bufio.NewReaderSize(infile.Heed(ctx, in.section), InputBuffer)
	return in
}

// Offset is where the next byte is.
func (in *Input) Offset() int64 {
	at, _ := in.section.Seek(0, io.SeekCurrent) // cannot fail
	return at - int64(in.Buffered())
}

// seek goes to another place.
func (in *Input) seek(to int64) {
	if ahead := to - in.Offset(); ahead >= 0 && ahead <= int64(in.Buffered()) {
		_, _ = in.Discard(int(ahead)) // it is buffered
		return
	}
	_, _ = in.section.Seek(to, io.SeekStart) // cannot fail: to is not negative
	in.Reset(infile.Heed(in.ctx, in.section))
}

// Head returns the next n bytes, fewer at the end, and stays where it is.
func (in *Input) Head(n int) ([]byte, error) {
	b, err := in.Peek(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return b, err
}

// SkipZeroes goes to the next byte that is not zero.
func (in *Input) SkipZeroes() error {
	for {
		b, err := in.Head(InputBuffer)
		if err != nil || len(b) == 0 {
			return err
		}
		n := Zeroes(b)
		_, _ = in.Discard(n)
		if n < len(b) {
			return nil
		}
	}
}

// Zeroes is how many zero bytes b begins with.
func Zeroes(b []byte) int {
	for i, c := range b {
		if c != 0 {
			return i
		}
	}
	return len(b)
}
