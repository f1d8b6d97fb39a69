package kernel

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/mikelolasagasti/xz"
	"github.com/ulikunitz/xz/lzma"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/modload/unpack"
)

// Kernels are packed by scripts/xz_wrap.sh: one block, a filter for the
// processor's branches before LZMA2, a CRC32 after. Section numbers are those of
// "The .xz File Format", 1.2.1.
//
// The filter of arm64 is read here: mikelolasagasti/xz refuses it, as ulikunitz/xz does
// every filter but LZMA2, whose chunks alone it unpacks.

const (
	xzKernelMagic = "\xfd7zXZ\x00"
	xzCheckCRC32  = 1

	filterARM64 = 0x0a // 5.3.2
	filterLZMA2 = 0x21 // 5.3.1
)

var errXZKernel = errors.New("unpack kernel (xz): it is damaged")

// unpackXZKernel unpacks the first block of an xz stream, or the stream if the library knows its filters.
func unpackXZKernel(ctx context.Context, data []byte, limit int64) ([]byte, error) {
	const streamHeader = 12
	if len(data) < streamHeader+8 {
		return nil, errXZKernel
	}
	block, filters, err := xzFilters(data[streamHeader:])
	if err != nil {
		return nil, err
	}
	// no start other than 0
	arm64 := len(filters) == 2 && filters[0].id == filterARM64 && len(filters[0].properties) == 0
	chunks := bytes.NewReader(block)
	var r io.Reader
	if arm64 {
		// A dictionary longer than the plain kernel helps nobody.
		dictionary := max(lzma.MinDictCap, min(compress.XZDictionary(filters[1].properties[0]), kernelMax))
		r, err = lzma.Reader2Config{DictCap: int(dictionary)}.NewReader2(chunks)
	} else {
		r, err = unpack.XZ(compress.NewXZStream(bufio.NewReader(bytes.NewReader(data))), kernelMax)
	}
	var out bytes.Buffer
	out.Grow(min(8*len(data), int(limit)))
	var n int64
	if err == nil {
		n, err = io.Copy(&out, io.LimitReader(infile.Heed(ctx, r), limit+1))
	}
	switch {
	case errors.Is(err, xz.ErrOptions):
		return nil, fmt.Errorf("unpack kernel (xz): filter %#x is not known here: give its Module.symvers "+
			"(--symvers), or the plain vmlinux or Image", filters[0].id)
	case err != nil:
		return nil, fmt.Errorf("unpack kernel (xz): %w", err)
	case n > limit:
		return nil, fmt.Errorf("unpack kernel (xz): more than %d MiB", limit>>20)
	}
	plain := out.Bytes()
	if arm64 {
		plainARM64(plain)
		if data[7] == xzCheckCRC32 {
			end := (len(block) - chunks.Len() + 3) &^ 3 // padded (3.3)
			if end+4 > len(block) || binary.LittleEndian.Uint32(block[end:]) != crc32.ChecksumIEEE(plain) {
				return nil, errXZKernel
			}
		}
	}
	return plain, nil
}

type xzFilter struct {
	id         uint64
	properties []byte
}

// xzFilters reads the header of a block (3.1) and returns what follows it. The
// last filter is LZMA2.
func xzFilters(data []byte) (block []byte, filters []xzFilter, err error) {
	size := 4 * (int(data[0]) + 1)
	if data[0] == 0 || size > len(data) ||
		binary.LittleEndian.Uint32(data[size-4:]) != crc32.ChecksumIEEE(data[:size-4]) {
		return nil, nil, errXZKernel
	}
	flags, header := data[1], data[2:size-4]
	number := func() uint64 {
		v, n := binary.Uvarint(header)
		if n <= 0 {
			err, n = errXZKernel, 0
		}
		header = header[n:]
		return v
	}
	for _, bit := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&bit != 0 {
			number()
		}
	}
	for range flags&3 + 1 {
		f := xzFilter{id: number()}
		n := number()
		if err != nil || n > uint64(len(header)) {
			return nil, nil, errXZKernel
		}
		f.properties, header = header[:n], header[n:]
		filters = append(filters, f)
	}
	last := filters[len(filters)-1]
	if last.id != filterLZMA2 || len(last.properties) != 1 {
		return nil, nil, errXZKernel
	}
	return data[size:], filters, nil
}

// plainARM64 turns the absolute targets of BL (26 bits of words) and ADRP (21 bits
// of pages, of which those near 0 are packed) back into relative ones.
func plainARM64(data []byte) {
	le := binary.LittleEndian
	for i := 0; i+4 <= len(data); i += 4 {
		word := le.Uint32(data[i:])
		pc := uint32(i) //nolint:gosec // kernelMax is below 2^32
		switch {
		case word>>26 == 0x25:
			le.PutUint32(data[i:], 0x94000000|(word-pc>>2)&0x03ffffff)
		case word&0x9f000000 == 0x90000000:
			page := word>>29&3 | word>>3&0x1ffffc
			if (page+0x020000)&0x1c0000 != 0 {
				continue
			}
			page -= pc >> 12
			word &= 0x9000001f
			word |= page & 3 << 29
			word |= page & 0x03fffc << 3
			word |= -(page & 0x020000) & 0xe00000
			le.PutUint32(data[i:], word)
		}
	}
}
