package compress

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/nodisk/nodisk/internal/magic"
	"github.com/nodisk/nodisk/modload/unpack"
)

// ZstdMaxWindow is what lib/decompress_unzstd.c takes.
const ZstdMaxWindow = 128 << 20

// xzMaxDict bounds the memory an xz file may ask for; xz -9 wants as much.
const xzMaxDict = 64 << 20

// DetectLength is how many bytes detect looks at.
const DetectLength = 6

// Detect names the compression of a segment by its first bytes.
func Detect(data []byte) (Compression, error) {
	switch {
	case magic.At(data, 0, "070701"), magic.At(data, 0, "070702"):
		return None, nil
	case magic.At(data, 0, "\x02\x21\x4c\x18"):
		return LZ4, nil
	case magic.At(data, 0, "\x28\xb5\x2f\xfd"):
		return Zstd, nil
	case magic.At(data, 0, "\x1f\x8b"):
		return Gzip, nil
	case magic.At(data, 0, "\xfd7zXZ\x00"):
		return XZ, nil
	case magic.At(data, 0, "\x04\x22\x4d\x18"):
		return 0, errors.New("an lz4 frame of the current format, of which the kernel reads only the " +
			"legacy one (lz4 -l)")
	case magic.At(data, 0, "BZh"), magic.At(data, 0, "\x5d\x00\x00"), magic.At(data, 0, "\x89LZO"):
		return 0, errors.New("bzip2, lzma or lzo, which nodisk does not read")
	case magic.At(data, 0, "070707"):
		return 0, errors.New("a cpio archive of the old format, of which the kernel reads only newc (cpio -H newc)")
	}
	return 0, errors.New("neither a cpio archive nor a compression known here")
}

// Decompressors unpack the segments of one source, one after the other, and keep
// what they can use again.
type Decompressors struct {
	in   *Input
	zstd *zstd.Decoder
	gzip *gzip.Reader
	lz4  *lz4Stream
}

// NewDecompressors unpacks the segments that in goes through.
func NewDecompressors(in *Input) *Decompressors { return &Decompressors{in: in} }

// Blocks are those of the last segment of lz4.
func (d *Decompressors) Blocks() []BlockSize { return d.lz4.sizes }

// Open begins to unpack the segment that the input is at. When the stream has
// ended, end leaves the input after the segment.
func (d *Decompressors) Open(c Compression) (stream io.Reader, end func(), err error) {
	stay := func() {}
	switch c {
	case LZ4:
		if d.lz4 == nil {
			d.lz4 = &lz4Stream{buf: make([]byte, LZ4LegacyBlock)}
		}
		*d.lz4 = lz4Stream{in: d.in.Reader, buf: d.lz4.buf, packed: d.lz4.packed}
		_, err := d.in.Discard(4)
		return d.lz4, stay, err
	case Zstd:
		from := d.in.Offset()
		to, err := zstdEnd(d.in)
		if err != nil {
			return nil, nil, err
		}
		d.in.seek(from)
		frame := io.LimitReader(d.in, to-from)
		if d.zstd == nil {
			d.zstd, err = zstd.NewReader(frame, zstd.WithDecoderConcurrency(1),
				zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(ZstdMaxWindow))
		} else {
			err = d.zstd.Reset(frame)
		}
		return d.zstd, func() { d.in.seek(to) }, err
	case Gzip:
		if d.gzip == nil {
			d.gzip = new(gzip.Reader)
		}
		err := d.gzip.Reset(d.in.Reader) // reads no byte too many of a bufio.Reader
		if err == nil {
			d.gzip.Multistream(false)
		}
		return d.gzip, stay, err
	case XZ:
		head, err := d.in.Head(32)
		if err != nil {
			return nil, nil, err
		}
		if dict := xzDict(head); dict > xzMaxDict {
			return nil, nil, fmt.Errorf("it wants %d MiB to be unpacked; %d are the most", dict>>20, xzMaxDict>>20)
		}
		plain, err := unpack.XZ(NewXZStream(d.in.Reader), xzMaxDict)
		return plain, stay, err
	case None:
		return plainStream{d.in}, stay, nil
	}
	return nil, nil, fmt.Errorf("no decompressor for %v", c)
}

// Close ends what decompressors keep running.
func (d *Decompressors) Close() {
	if d.zstd != nil {
		d.zstd.Close()
	}
}

// A Skipper is a stream that can go over bytes without reading them.
type Skipper interface{ Skip(n int64) (int64, error) }

// plainStream is a segment that is not compressed.
type plainStream struct{ *Input }

func (p plainStream) Skip(n int64) (int64, error) {
	at := p.Offset()
	to := min(at+n, p.size)
	p.seek(to)
	if to < at+n {
		return to - at, io.EOF
	}
	return n, nil
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
	return XZDictionary(block[2])
}

// XZDictionary is the memory that the property of LZMA2 asks for, in bytes, 0 if it cannot be told.
func XZDictionary(property byte) int64 {
	bits := int64(property & 0x3f)
	if bits > 40 {
		return 0
	}
	return (2 | bits&1) << (bits/2 + 11)
}

// zstdEnd is own code because the decoder of klauspost/compress reads ahead and does not say how
// far: it walks the blocks of a zstd frame to its end (RFC 8878, 3.1.1), and returns where that is.
func zstdEnd(in *Input) (int64, error) {
	head, err := in.Head(zstd.HeaderMaxSize)
	if err != nil {
		return 0, err
	}
	var h zstd.Header
	if err := h.Decode(head); err != nil {
		return 0, fmt.Errorf("read zstd header: %w", err)
	}
	at := in.Offset() + int64(h.HeaderSize)
	for at+3 <= in.size {
		in.seek(at)
		b, err := in.Head(3)
		if err != nil {
			return 0, err
		}
		if len(b) < 3 { // the file has become shorter
			break
		}
		word := int64(b[0]) | int64(b[1])<<8 | int64(b[2])<<16
		size := word >> 3
		if word>>1&3 == 1 { // RLE: one byte stands for all
			size = 1
		}
		at += 3 + size
		if word&1 == 1 { // the last
			if h.HasCheckSum {
				at += 4
			}
			return min(at, in.size), nil
		}
	}
	return in.size, nil // cut off; the decompressor will say so
}

// errGlued is what the kernel reports as "Decoding failed" and goes on without.
var errGlued = errors.New("another segment follows without a gap, which the kernel takes for a block of lz4: " +
	"put at least 4 zero bytes between them, so that the second begins at a multiple of 4")

// An lz4Stream reads a legacy frame, whose blocks pierrec/lz4 unpacks, as lib/decompress_unlz4.c does: it ends
// where the image ends, at zeroes, or at the magic of the next lz4 frame. Any
// other segment must have zeroes before it.
type lz4Stream struct {
	in     *bufio.Reader
	block  []byte // what is unpacked and not read yet
	buf    []byte
	packed []byte
	sizes  []BlockSize
}

// UnpackLZ4 unpacks a legacy frame of lz4 that is in memory, without its magic number.
func UnpackLZ4(frame []byte) io.Reader {
	return &lz4Stream{in: bufio.NewReader(bytes.NewReader(frame))}
}

// A BlockSize is what a block of a segment unpacks to, and what it takes.
type BlockSize struct{ Raw, Packed int64 }

// lz4SmallBlock is the size below which blocks are taken together: a frame may
// consist of millions.
const lz4SmallBlock = 4 << 10

// Read implements io.Reader.
func (l *lz4Stream) Read(p []byte) (int, error) {
	for len(l.block) == 0 {
		if err := l.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, l.block)
	l.block = l.block[n:]
	return n, nil
}

// next unpacks the next block; io.EOF is the end of the frame.
func (l *lz4Stream) next() error {
	head, err := l.in.Peek(DetectLength)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(head) < 4 {
		return io.EOF
	}
	size := binary.LittleEndian.Uint32(head)
	if size == 0 || size == LZ4LegacyMagic {
		return io.EOF
	}
	if _, err := Detect(head); err == nil {
		return errGlued
	}
	// lib/decompress_unlz4.c: "chunk length is longer than allocated".
	if most := lz4.CompressBlockBound(LZ4LegacyBlock); int64(size) > int64(most) {
		return fmt.Errorf("an lz4 block of %d bytes, the kernel takes at most %d: the image is damaged", size, most)
	}
	if cap(l.packed) < int(size) {
		l.packed = make([]byte, size)
	}
	if l.buf == nil {
		l.buf = make([]byte, LZ4LegacyBlock)
	}
	_, _ = l.in.Discard(4) // it was there
	n, err := io.ReadFull(l.in, l.packed[:size])
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("an lz4 block of %d bytes, but only %d are left: the image is cut off", size, n)
	}
	if err != nil {
		return err
	}
	if n, err = lz4.UncompressBlock(l.packed[:size], l.buf); err != nil {
		return fmt.Errorf("unpack an lz4 block: %w", err)
	}
	l.block = l.buf[:n]
	l.measure(BlockSize{int64(n), int64(size) + 4})
	return nil
}

func (l *lz4Stream) measure(b BlockSize) {
	if i := len(l.sizes) - 1; i >= 0 && b.Raw < lz4SmallBlock {
		l.sizes[i].Raw += b.Raw
		l.sizes[i].Packed += b.Packed
		return
	}
	l.sizes = append(l.sizes, b)
}
