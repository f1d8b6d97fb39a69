package build

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/pierrec/lz4/v4"
)

// embeddedArchs are the architectures of which make build embeds /init.
func embeddedArchs() []string { return []string{"amd64", "arm64"} }

// EmbeddedInit returns the /init this program carries for an architecture in GOARCH's
// spelling (empty: this program's own); false if it carries none for it, or none at all,
// because it was compiled without the tag embedinit.
func EmbeddedInit(arch string) ([]byte, bool) {
	data := embedded(cmp.Or(arch, runtime.GOARCH))
	if !at(data, 0, "\x02\x21\x4c\x18") {
		return data, data != nil
	}
	program, err := io.ReadAll(unpackLZ4(data[4:]))
	return program, err == nil
}

// PackProgram compresses a program once for all images: as a legacy frame of lz4
// whose blocks are those that an image has. make build puts it into the command in
// place of /init, so that nodisk build need not compress it.
func PackProgram(ctx context.Context, program []byte) ([]byte, error) {
	out := binary.LittleEndian.AppendUint32(nil, lz4LegacyMagic)
	for raw := range slices.Chunk(program, lz4LegacyBlock) {
		packed, err := lz4Sized(ctx, raw, func(int) {})
		if err != nil {
			return nil, fmt.Errorf("pack program: %w", err)
		}
		out = append(out, packed...)
	}
	return out, nil
}

// embeddedBlock finds a block of lz4 in what this program carries. It is compared
// byte for byte: /init may be another one.
func embeddedBlock(c Compression, raw []byte) ([]byte, bool) {
	if c != LZ4 {
		return nil, false
	}
	for _, arch := range embeddedArchs() {
		data := embedded(arch)
		if !at(data, 0, "\x02\x21\x4c\x18") {
			continue
		}
		for data = data[4:]; len(data) > 4; {
			end := min(4+int64(binary.LittleEndian.Uint32(data)), int64(len(data)))
			if unpacksTo(LZ4, data[:end], raw) {
				return data[:end], true
			}
			data = data[end:]
		}
	}
	return nil, false
}

// unpacksTo reports whether a packed block is that of raw.
func unpacksTo(c Compression, packed, raw []byte) bool {
	if c == LZ4 {
		if len(packed) < 4 || int64(binary.LittleEndian.Uint32(packed)) != int64(len(packed)-4) {
			return false
		}
		got := make([]byte, len(raw))
		n, err := lz4.UncompressBlock(packed[4:], got)
		return err == nil && n == len(raw) && bytes.Equal(got, raw)
	}
	in := newInput(context.Background(), bytes.NewReader(packed), int64(len(packed)))
	d := newDecompressors(in)
	defer d.close()
	stream, end, err := d.open(c)
	if err != nil {
		return false
	}
	got, err := io.ReadAll(io.LimitReader(stream, int64(len(raw))+1))
	end()
	return err == nil && bytes.Equal(got, raw) && in.offset() == in.size
}
