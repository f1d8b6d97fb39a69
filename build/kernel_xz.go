package build

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/modload/unpack"
)

// Kernels are packed by scripts/xz_wrap.sh: one block, a filter for the
// processor's branches before LZMA2, a CRC32 behind. No xz library for Go has those
// filters. Section numbers are those of "The .xz File Format", 1.2.1.

const (
	xzKernelMagic = "\xfd7zXZ\x00"
	xzCheckCRC32  = 1

	filterX86   = 0x04 // 5.3.2
	filterARM64 = 0x0a
	filterLZMA2 = 0x21 // 5.3.1
)

var errXZKernel = errors.New("unpack kernel (xz): it is damaged")

// unpackXZKernel unpacks the first block of an xz stream.
func unpackXZKernel(ctx context.Context, data []byte, limit int64) ([]byte, error) {
	const streamHeader = 12
	if len(data) < streamHeader+8 {
		return nil, errXZKernel
	}
	check := data[7]
	block, filters, err := xzFilters(data[streamHeader:])
	if err != nil {
		return nil, err
	}
	last := filters[len(filters)-1]
	var out bytes.Buffer
	out.Grow(min(8*len(data), int(limit)))
	n, err := io.Copy(&out, io.LimitReader(infile.Heed(ctx, unpack.LZMA2(bytes.NewReader(block), last.properties[0])), limit+1))
	if err != nil {
		return nil, fmt.Errorf("unpack kernel (xz): %w", err)
	}
	if n > limit {
		return nil, fmt.Errorf("unpack kernel (xz): more than %d MiB", limit>>20)
	}
	plain := out.Bytes()
	for i := len(filters) - 2; i >= 0; i-- {
		switch filters[i].id {
		case filterX86:
			plainX86(plain)
		case filterARM64:
			plainARM64(plain)
		default:
			return nil, fmt.Errorf("unpack kernel (xz): filter %#x is not known here: give its Module.symvers (--symvers), or the plain vmlinux or Image", filters[i].id)
		}
	}
	if check == xzCheckCRC32 {
		end := (lzma2End(block) + 3) &^ 3 // padded (3.3)
		if end+4 > len(block) || binary.LittleEndian.Uint32(block[end:]) != crc32.ChecksumIEEE(plain) {
			return nil, errXZKernel
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
	if data[0] == 0 || size > len(data) || binary.LittleEndian.Uint32(data[size-4:]) != crc32.ChecksumIEEE(data[:size-4]) {
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
	for _, f := range filters[:len(filters)-1] {
		if len(f.properties) != 0 { // a start other than 0
			return nil, nil, errXZKernel
		}
	}
	return data[size:], filters, nil
}

// lzma2End walks the chunks of LZMA2 to their end, the length of data if it is
// cut off.
func lzma2End(data []byte) int {
	for at := 0; at < len(data); {
		control := data[at]
		switch {
		case control == 0:
			return at + 1
		case control < 0x80 && at+3 <= len(data): // plain
			at += 3 + int(binary.BigEndian.Uint16(data[at+1:])) + 1
		case control >= 0x80 && at+5 <= len(data):
			size := 5 + int(binary.BigEndian.Uint16(data[at+3:])) + 1
			if control >= 0xc0 {
				size++ // properties
			}
			at += size
		default:
			return len(data)
		}
	}
	return len(data)
}

// plainX86 turns the absolute targets of CALL and JMP (E8, E9) back into
// relative ones. What looked like the opcode of another just before, and was
// no instruction, was left alone by the packer: recent holds which of the last
// three bytes looked like one, the latest in bit 0.
func plainX86(data []byte) {
	outer := func(b byte) bool { return b == 0 || b == 0xff } // the top byte of a near target
	recent, last := uint(0), -1
	for i := 0; i+5 <= len(data); i++ {
		if data[i]&0xfe != 0xe8 {
			continue
		}
		if gap := i - last; gap > 3 {
			recent = 0
		} else {
			recent = recent << (gap - 1) & 7
		}
		last = i
		// Which byte of this target the latest of them would have as its top byte.
		shift := 0
		switch {
		case recent >= 4:
			shift = 3
		case recent >= 2:
			shift = 2
		case recent == 1:
			shift = 1
		}
		several := recent&(recent-1) != 0
		if recent != 0 && (several || outer(data[i+4-shift])) || !outer(data[i+4]) {
			recent = recent<<1 | 1
			continue
		}
		target := binary.LittleEndian.Uint32(data[i+1:])
		from := uint32(i + 5) //nolint:gosec // kernelMax is below 2^32
		target -= from
		for recent != 0 && outer(byte(target>>(24-8*shift))) {
			target ^= 1<<(32-8*shift) - 1
			target -= from
		}
		if target &= 1<<25 - 1; target&(1<<24) != 0 {
			target |= 0xfe000000
		}
		binary.LittleEndian.PutUint32(data[i+1:], target)
		i += 4
	}
}

// plainARM64 does the same for BL (26 bits of words) and ADRP (21 bits of
// pages, of which those near 0 are packed).
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
