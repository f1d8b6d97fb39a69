package program

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/magic"
)

// embeddedArchs are the architectures of which make build embeds /init.
func embeddedArchs() []string { return []string{"amd64", "arm64"} }

// EmbeddedInit returns the /init this program carries for an architecture in GOARCH's
// spelling (empty: this program's own); false if it carries none for it, or none at all,
// because it was compiled without the tag embedinit.
func EmbeddedInit(arch string) ([]byte, bool) {
	data := embedded(cmp.Or(arch, runtime.GOARCH))
	if !magic.At(data, 0, "\x02\x21\x4c\x18") {
		return data, data != nil
	}
	program, err := io.ReadAll(compress.UnpackLZ4(data[4:]))
	return program, err == nil
}

// PackProgram compresses a program once for all images: as a legacy frame of lz4
// whose blocks are those that an image has. make build puts it into the command in
// place of /init, so that nodisk build need not compress it.
func PackProgram(ctx context.Context, program []byte) ([]byte, error) {
	out := binary.LittleEndian.AppendUint32(nil, compress.LZ4LegacyMagic)
	for raw := range slices.Chunk(program, compress.LZ4LegacyBlock) {
		packed, err := compress.LZ4Sized(ctx, raw, func(int) {})
		if err != nil {
			return nil, fmt.Errorf("pack program: %w", err)
		}
		out = append(out, packed...)
	}
	return out, nil
}

// EmbeddedBlock finds a block of lz4 in what this program carries. It is compared
// byte for byte: /init may be another one.
func EmbeddedBlock(c compress.Compression, raw []byte) ([]byte, bool) {
	if c != compress.LZ4 {
		return nil, false
	}
	for _, arch := range embeddedArchs() {
		data := embedded(arch)
		if !magic.At(data, 0, "\x02\x21\x4c\x18") {
			continue
		}
		for data = data[4:]; len(data) > 4; {
			end := min(4+int64(binary.LittleEndian.Uint32(data)), int64(len(data)))
			if compress.UnpacksTo(compress.LZ4, data[:end], raw) {
				return data[:end], true
			}
			data = data[end:]
		}
	}
	return nil, false
}
