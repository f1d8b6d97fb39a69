package build

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/ulikunitz/xz"
)

// zstdMaxWindow is what lib/decompress_unzstd.c takes.
const zstdMaxWindow = 128 << 20

// xzMaxDict bounds the memory an xz file may ask for; xz -9 wants 64 MiB.
const xzMaxDict = 256 << 20

// A stream unpacks one segment of an image. When it has ended, rest tells
// what of the image follows.
type stream interface {
	io.Reader
	rest() []byte
}

// detect names the compression of a segment by its first bytes.
func detect(data []byte) (Compression, error) {
	switch {
	case at(data, 0, "070701"), at(data, 0, "070702"):
		return None, nil
	case at(data, 0, "\x02\x21\x4c\x18"):
		return LZ4, nil
	case at(data, 0, "\x28\xb5\x2f\xfd"):
		return Zstd, nil
	case at(data, 0, "\x1f\x8b"):
		return Gzip, nil
	case at(data, 0, "\xfd7zXZ\x00"):
		return XZ, nil
	case at(data, 0, "\x04\x22\x4d\x18"):
		return 0, errors.New("an lz4 frame of the current format, of which the kernel reads only the legacy one (lz4 -l)")
	case at(data, 0, "BZh"), at(data, 0, "\x5d\x00\x00"), at(data, 0, "\x89LZO"):
		return 0, errors.New("bzip2, lzma or lzo, which nodisk does not read")
	case at(data, 0, "070707"):
		return 0, errors.New("a cpio archive of the old format, of which the kernel reads only newc (cpio -H newc)")
	}
	return 0, errors.New("neither a cpio archive nor a compression known here")
}

// openSegment begins to unpack data, which starts with a segment.
func openSegment(c Compression, data []byte) (stream, error) {
	switch c {
	case LZ4:
		return &lz4Stream{data: data[4:]}, nil
	case Zstd:
		end, err := zstdEnd(data)
		if err != nil {
			return nil, err
		}
		z, err := zstd.NewReader(bytes.NewReader(data[:end]), zstd.WithDecoderConcurrency(1),
			zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdMaxWindow))
		return cut{z, data[end:]}, err
	case Gzip:
		in := bytes.NewReader(data)
		z, err := gzip.NewReader(in)
		if err == nil {
			z.Multistream(false)
		}
		return &counted{Reader: z, in: in, data: data}, err
	case XZ:
		if dict := xzDict(data); dict > xzMaxDict {
			return nil, fmt.Errorf("it wants %d MiB to be unpacked; %d are the most", dict>>20, xzMaxDict>>20)
		}
		in := bytes.NewReader(data)
		z, err := xz.ReaderConfig{DictCap: 1 << 16, SingleStream: true}.NewReader(in)
		return &xzStream{Reader: z, in: in, data: data}, err
	case None:
		in := bytes.NewReader(data)
		return &counted{Reader: in, in: in, data: data}, nil
	}
	return nil, fmt.Errorf("no decompressor for %v", c)
}

// cut is a stream whose end is known from the beginning.
type cut struct {
	io.Reader
	behind []byte
}

func (c cut) rest() []byte { return c.behind }

// counted is a stream whose decompressor reads no byte too many.
type counted struct {
	io.Reader
	in   *bytes.Reader
	data []byte
}

func (c *counted) rest() []byte { return c.data[len(c.data)-c.in.Len():] }

// An xzStream reads one xz stream. The library looks for a byte behind it and
// calls that an error.
type xzStream struct {
	io.Reader
	in    *bytes.Reader
	data  []byte
	total int
	ended bool
}

func (x *xzStream) Read(p []byte) (int, error) {
	if x.ended {
		return 0, io.EOF
	}
	n, err := x.Reader.Read(p)
	x.total += n
	if err == nil || errors.Is(err, io.EOF) {
		x.ended = err != nil
		return n, err
	}
	// The footer of a stream ends in "YZ" (xz-file-format.txt, 2.1.2.4); one
	// more byte was taken to see whether anything follows.
	end := len(x.data) - x.in.Len() - 1
	if x.total > 0 && end >= 2 && string(x.data[end-2:end]) == "YZ" {
		x.ended, x.data = true, x.data[end:]
		return n, io.EOF
	}
	return n, err
}

func (x *xzStream) rest() []byte {
	if x.ended && x.in.Len() > 0 {
		return x.data
	}
	return nil
}

// xzDict is the memory the first block asks for, 0 if it cannot be told
// (xz-file-format.txt, 3.1 and 5.3.1).
func xzDict(data []byte) int64 {
	const streamHeader = 12
	if len(data) < streamHeader+8 {
		return 0
	}
	block := data[streamHeader:]
	flags, block := block[1], block[2:]
	for _, bit := range []byte{0x40, 0x80} { // compressed and uncompressed size
		if flags&bit != 0 {
			_, n := binary.Uvarint(block)
			block = block[max(n, 0):]
		}
	}
	if len(block) < 3 || block[0] != 0x21 || block[1] != 1 {
		return 0
	}
	bits := int64(block[2] & 0x3f)
	if bits > 40 {
		return 0
	}
	return (2 | bits&1) << (bits/2 + 11)
}

// zstdEnd walks the blocks of a zstd frame to its end (RFC 8878, 3.1.1).
func zstdEnd(data []byte) (int, error) {
	var h zstd.Header
	if err := h.Decode(data); err != nil {
		return 0, fmt.Errorf("read zstd header: %w", err)
	}
	for at := h.HeaderSize; at+3 <= len(data); {
		b := int(data[at]) | int(data[at+1])<<8 | int(data[at+2])<<16
		size := b >> 3
		if b>>1&3 == 1 { // RLE: one byte stands for all
			size = 1
		}
		at += 3 + size
		if b&1 == 1 { // the last
			if h.HasCheckSum {
				at += 4
			}
			return min(at, len(data)), nil
		}
	}
	return len(data), nil // cut off; the decompressor will say so
}

// errGlued is what the kernel reports as "Decoding failed" and goes on without.
var errGlued = errors.New("another segment follows without a gap, which the kernel takes for a block of lz4: " +
	"put at least 4 zero bytes between them, so that the second begins at a multiple of 4")

// An lz4Stream reads a legacy frame as lib/decompress_unlz4.c does: it ends
// where the image ends, at zeroes, or at the magic of the next lz4 frame. Any
// other segment must have zeroes before it.
type lz4Stream struct {
	data  []byte
	block []byte // what is unpacked and not read yet
	buf   []byte
	sizes []packedBlock
}

// A packedBlock is what a block of a segment unpacks to, and what it takes.
type packedBlock struct{ raw, packed int64 }

// share gives files of a segment their shares of its blocks.
func share(files []File, spans []span, blocks []packedBlock) {
	at, i := int64(0), 0 // where block i begins
	for k, s := range spans {
		for i < len(blocks) && at+blocks[i].raw <= s.from {
			at += blocks[i].raw
			i++
		}
		files[k].Packed = 0
		for from, j := at, i; j < len(blocks) && from < s.to; j++ {
			if common := min(s.to, from+blocks[j].raw) - max(s.from, from); common > 0 {
				files[k].Packed += blocks[j].packed * common / blocks[j].raw
			}
			from += blocks[j].raw
		}
	}
}

func (l *lz4Stream) Read(p []byte) (int, error) {
	for len(l.block) == 0 {
		if len(l.data) < 4 {
			return 0, io.EOF
		}
		size := binary.LittleEndian.Uint32(l.data)
		if size == 0 || size == lz4LegacyMagic {
			return 0, io.EOF
		}
		if _, err := detect(l.data); err == nil {
			return 0, errGlued
		}
		if int64(size) > int64(len(l.data)-4) {
			return 0, fmt.Errorf("an lz4 block of %d bytes, but only %d are left: the image is cut off", size, len(l.data)-4)
		}
		if l.buf == nil {
			l.buf = make([]byte, lz4LegacyBlock)
		}
		n, err := lz4.UncompressBlock(l.data[4:4+size], l.buf)
		if err != nil {
			return 0, fmt.Errorf("unpack an lz4 block: %w", err)
		}
		l.block, l.data = l.buf[:n], l.data[4+size:]
		l.sizes = append(l.sizes, packedBlock{int64(n), int64(size) + 4})
	}
	n := copy(p, l.block)
	l.block = l.block[n:]
	return n, nil
}

func (l *lz4Stream) rest() []byte { return l.data }
