package unpack

import (
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
)

// newZstd unpacks the frames that r consists of, without goroutines: nobody
// has to close it.
func newZstd(r io.Reader) (io.Reader, error) {
	s := &stream{name: "zstd", src: &source{Reader: r}, means: meansZstd}
	// The memory's limit is that of frames which are their own window.
	plain, err := zstd.NewReader(s.src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderMaxMemory(maxWindow))
	if err != nil {
		return nil, s.explain(err)
	}
	s.plain = plain
	return s, nil
}

func meansZstd(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errCut
	case errors.Is(err, zstd.ErrMagicMismatch):
		return damaged("it does not begin as zstd does")
	case errors.Is(err, zstd.ErrCRCMismatch):
		return damaged("its checksum is another")
	case errors.Is(err, zstd.ErrFrameSizeExceeded):
		return damaged("it is longer than its header says")
	case errors.Is(err, zstd.ErrFrameSizeMismatch):
		return damaged("it is shorter than its header says")
	case errors.Is(err, zstd.ErrUnknownDictionary):
		return errors.New("it needs a dictionary: pack it without")
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		// The library says the same of a block that is longer than its frame's window.
		return fmt.Errorf("it needs more than %d MiB to be unpacked, or is damaged: pack it with zstd -19 or less", maxWindow>>20)
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}
