package compress

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// A Compression is a format of the kernel's initramfs decompressors
// (lib/decompress.c).
type Compression uint8

// The compressions an image can have.
const (
	LZ4  Compression = iota + 1 // legacy frames, the fastest to unpack
	Zstd                        // the smallest that is fast to unpack
	Gzip                        // what every kernel reads
	XZ                          // small, slow to unpack
	None
)

// Compressions lists all, the default first.
func Compressions() []Compression { return []Compression{LZ4, Zstd, Gzip, XZ, None} }

// String returns the name as --compress takes it.
func (c Compression) String() string {
	switch c {
	case LZ4:
		return "lz4"
	case Zstd:
		return "zstd"
	case Gzip:
		return "gzip"
	case XZ:
		return "xz"
	case None:
		return "none"
	}
	return fmt.Sprintf("Compression(%d)", uint8(c))
}

// UnmarshalText is the reverse of String.
func (c *Compression) UnmarshalText(text []byte) error {
	names := make([]string, 0, len(Compressions()))
	for _, known := range Compressions() {
		if string(text) == known.String() {
			*c = known
			return nil
		}
		names = append(names, known.String())
	}
	return fmt.Errorf("unknown compression %q: take one of %s", text, strings.Join(names, ", "))
}

// zstdWindow is how far back the decompressor must remember. The kernel takes
// 128 MiB; 8 MiB is what it needs at level 19, and spares small machines.
const zstdWindow = 8 << 20

// Write writes data to w in a form that the kernel unpacks. done is told
// how many bytes of data were dealt with since it was called last, from any goroutine.
func Write(ctx context.Context, w io.Writer, c Compression, data []byte, done func(n int)) error {
	var err error
	switch c {
	case LZ4:
		err = writeLZ4(ctx, w, data, done)
	case None:
		err = feed(ctx, w, data, done)
	default:
		var z io.WriteCloser
		if z, err = NewWriter(w, c, Careful); err == nil {
			err = errors.Join(feed(ctx, z, data, done), z.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("compress with %v: %w", c, err)
	}
	return nil
}

// NewWriter compresses what is written to it into one frame, member or stream.
func NewWriter(w io.Writer, c Compression, how Effort) (io.WriteCloser, error) {
	switch c {
	case Zstd:
		level := zstd.SpeedBestCompression
		if how == Quick {
			level = zstd.SpeedDefault
		}
		// Several work side by side, and one for each processor in each would take the memory.
		return zstd.NewWriter(w, zstd.WithEncoderLevel(level), zstd.WithWindowSize(zstdWindow),
			zstd.WithEncoderConcurrency(1))
	case Gzip:
		level := gzip.BestCompression
		if how == Quick {
			level = gzip.DefaultCompression
		}
		return gzip.NewWriterLevel(w, level)
	case XZ:
		// lib/decompress_unxz.c knows CRC32 and no other checksum.
		return xz.WriterConfig{CheckSum: xz.CRC32, DictCap: zstdWindow}.NewWriter(w)
	case None, LZ4:
	}
	return nil, errors.New("no such compression")
}

// feed writes data in pieces, so that progress is seen and ctx is obeyed.
func feed(ctx context.Context, w io.Writer, data []byte, done func(n int)) error {
	const piece = 1 << 18
	for len(data) > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := min(len(data), piece)
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		done(n)
		data = data[n:]
	}
	return nil
}

// KernelOption is that of the kernel's unpacker (usr/Kconfig), empty for None.
func (c Compression) KernelOption() string {
	switch c {
	case LZ4:
		return "CONFIG_RD_LZ4"
	case Zstd:
		return "CONFIG_RD_ZSTD"
	case Gzip:
		return "CONFIG_RD_GZIP"
	case XZ:
		return "CONFIG_RD_XZ"
	case None:
	}
	return ""
}
