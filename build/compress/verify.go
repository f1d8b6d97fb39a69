package compress

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"

	"github.com/pierrec/lz4/v4"
)

// UnpacksTo reports whether a packed block is that of raw.
func UnpacksTo(c Compression, packed, raw []byte) bool {
	if c == LZ4 {
		if len(packed) < 4 || int64(binary.LittleEndian.Uint32(packed)) != int64(len(packed)-4) {
			return false
		}
		got := make([]byte, len(raw))
		n, err := lz4.UncompressBlock(packed[4:], got)
		return err == nil && n == len(raw) && bytes.Equal(got, raw)
	}
	in := NewInput(context.Background(), bytes.NewReader(packed), int64(len(packed)))
	d := NewDecompressors(in)
	defer d.Close()
	stream, end, err := d.Open(c)
	if err != nil {
		return false
	}
	got, err := io.ReadAll(io.LimitReader(stream, int64(len(raw))+1))
	end()
	return err == nil && bytes.Equal(got, raw) && in.Offset() == in.size
}
