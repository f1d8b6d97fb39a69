package unpack

import (
	"errors"
	"fmt"
	"io"

	"github.com/mikelolasagasti/xz"
)

// XZ unpacks the streams of xz that r consists of, each with a dictionary of
// at most the given number of bytes; that is the memory it takes. It reads
// ahead: what follows the last stream has to be kept from it.
func XZ(r io.Reader, dictionary uint32) (io.Reader, error) {
	s := &stream{name: "xz", src: &source{Reader: r}, means: func(err error) error { return meansXZ(err, dictionary) }}
	plain, err := xz.NewReader(s.src, dictionary) // reads the header
	if err != nil {
		return nil, s.explain(err)
	}
	s.plain = plain
	return s, nil
}

func meansXZ(err error, dictionary uint32) error {
	const how = "pack it with xz --check=crc32 --lzma2=dict=1MiB"
	switch {
	case errors.Is(err, xz.ErrBuf):
		return errCut
	case errors.Is(err, xz.ErrFormat):
		return damaged("it does not begin as xz does")
	case errors.Is(err, xz.ErrUnsupportedCheck):
		return errors.New("it has a checksum of a type that is not known: " + how)
	case errors.Is(err, xz.ErrOptions):
		return fmt.Errorf("it is packed with a filter other than LZMA2, delta and branches: %s (%w)", how, err)
	case errors.Is(err, xz.ErrMemlimit):
		return fmt.Errorf("it needs more than %d MiB to be unpacked: %s", dictionary>>20, how)
	}
	return fmt.Errorf("%w: %w", errDamaged, err)
}
