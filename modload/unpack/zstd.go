package unpack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Section numbers are those of RFC 8878, which describes the format.

const (
	zstdMagic     = 0xFD2FB528 // 3.1.1
	skippable     = 0x184D2A50 // 3.1.2, the last four bits are free
	maxBlock      = 128 << 10  // 3.1.1.2.4, of a block's plain data
	inputPadding  = 8          // the bit reader loads eight bytes at once
	minZstdWindow = 1 << 10    // 3.1.1.1.2
)

var errDamaged = errors.New("the file is damaged")

func damaged(what string) error { return fmt.Errorf("%w: %s", errDamaged, what) }

// zstdReader unpacks frames, a block at a time.
type zstdReader struct {
	window
	src   *bufio.Reader
	block []byte // the compressed block, with inputPadding after it

	frames   int    // begun
	inFrame  bool   // between a frame's header and its last block
	content  uint64 // of plain data that the frame has still to bring
	sized    bool   // whether content is known
	checksum bool   // whether four bytes of it follow the last block
	hash     xxhash64

	literals []byte // of this block
	made     [maxBlock]byte
	code     huffman
	hasCode  bool
	weights  fseTable    // of the Huffman code's description
	tables   [3]fseTable // of literal lengths, offsets, match lengths
	hasTable [3]bool
	counts   [64]int16
	repeat   [3]int     // the last distances, the latest first
	runs     [64]uint32 // the shortest run of literals of each code
	matches  [64]uint32 // the shortest match of each code
}

func newZstd(r io.Reader) *zstdReader {
	z := &zstdReader{src: bufio.NewReader(r), runs: lengths(0, literalBits), matches: lengths(shortestMatch, matchBits)}
	z.next, z.name = z.piece, "zstd"
	return z
}

// piece unpacks one block, with the header before it and the checksum after it.
func (z *zstdReader) piece() error {
	if !z.inFrame {
		if err := z.header(); err != nil {
			return err
		}
	}
	var h [4]byte
	if _, err := io.ReadFull(z.src, h[:3]); err != nil {
		return cut(err)
	}
	head := binary.LittleEndian.Uint32(h[:])
	size := int(head >> 3)
	if size > maxBlock {
		return damaged("a block is too long")
	}
	z.grow(maxBlock)
	begin := len(z.data)
	if err := z.unpack(head>>1&3, size); err != nil {
		return err
	}
	fresh := z.data[begin:]
	if z.sized {
		if uint64(len(fresh)) > z.content {
			return damaged("it is longer than its header says")
		}
		z.content -= uint64(len(fresh))
	}
	if z.checksum {
		z.hash.write(fresh)
	}
	if head&1 == 0 {
		return nil
	}
	z.inFrame = false
	if z.sized && z.content != 0 {
		return damaged("it is shorter than its header says")
	}
	if !z.checksum {
		return nil
	}
	if _, err := io.ReadFull(z.src, h[:]); err != nil {
		return cut(err)
	}
	if binary.LittleEndian.Uint32(h[:]) != uint32(z.hash.sum()) { //nolint:gosec // the lower half is what is stored
		return damaged("its checksum is another")
	}
	return nil
}

// header reads the header of the next frame (3.1.1.1); io.EOF after the last.
func (z *zstdReader) header() error {
	var b [14]byte
	for {
		if _, err := io.ReadFull(z.src, b[:4]); err != nil {
			if errors.Is(err, io.EOF) && z.frames > 0 {
				return io.EOF
			}
			return cut(err)
		}
		magic := binary.LittleEndian.Uint32(b[:])
		if magic == zstdMagic {
			break
		}
		if magic&^15 != skippable {
			return damaged("it does not begin as zstd does")
		}
		if _, err := io.ReadFull(z.src, b[:4]); err != nil {
			return cut(err)
		}
		if _, err := io.CopyN(io.Discard, z.src, int64(binary.LittleEndian.Uint32(b[:]))); err != nil {
			return cut(err)
		}
		z.frames++
	}
	flags, err := z.src.ReadByte()
	if err != nil {
		return cut(err)
	}
	single := flags >> 5 & 1
	dictionary := int("\x00\x01\x02\x04"[flags&3])
	content := int("\x00\x02\x04\x08"[flags>>6])
	if content == 0 {
		content = int(single)
	}
	n := 1 - int(single) + dictionary + content
	if _, err := io.ReadFull(z.src, b[:n]); err != nil {
		return cut(err)
	}
	if flags&8 != 0 {
		return damaged("a reserved bit of its header is set")
	}
	var size uint64
	h := b[:n]
	if single == 0 {
		base := uint64(1) << (10 + h[0]>>3)
		size = base + base/8*uint64(h[0]&7)
		h = h[1:]
	}
	for _, id := range h[:dictionary] {
		if id != 0 {
			return errors.New("it needs a dictionary: pack it without")
		}
	}
	z.content = little(h[dictionary:])
	if content == 2 {
		z.content += 256
	}
	if single == 1 {
		size = z.content
	}
	if size > maxWindow {
		return fmt.Errorf("it needs %d MiB to be unpacked, and %d MiB are the limit: pack it with zstd -19 or less", size>>20, maxWindow>>20)
	}
	z.sized = content > 0
	z.checksum = flags&4 != 0
	z.hash = newXXHash64()
	z.size = max(int(size), minZstdWindow) //nolint:gosec // at most maxWindow
	// Matches do not reach into the frame before.
	z.data, z.read = z.data[:0], 0
	z.repeat = [3]int{1, 4, 8}
	z.hasCode, z.hasTable = false, [3]bool{}
	z.inFrame = true
	z.frames++
	return nil
}

// little reads up to eight bytes, the least significant first.
func little(b []byte) uint64 {
	var v uint64
	for i := len(b); i > 0; i-- {
		v = v<<8 | uint64(b[i-1])
	}
	return v
}

// cut turns the end of the input into an error.
func cut(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends too early: %w", errDamaged, io.ErrUnexpectedEOF)
	}
	return err
}

// unpack appends a block (3.1.1.2.2) to the window.
func (z *zstdReader) unpack(kind uint32, size int) error {
	switch kind {
	case 0: // as it is
		n := len(z.data)
		z.data = z.data[:n+size]
		_, err := io.ReadFull(z.src, z.data[n:])
		if err != nil {
			z.data = z.data[:n]
		}
		return cut(err)
	case 1: // one byte, size times
		c, err := z.src.ReadByte()
		if err != nil {
			return cut(err)
		}
		for range size {
			z.data = append(z.data, c)
		}
		return nil
	case 2:
		if cap(z.block) == 0 {
			z.block = make([]byte, maxBlock+inputPadding)
		}
		b := z.block[:size+inputPadding]
		clear(b[size:])
		if _, err := io.ReadFull(z.src, b[:size]); err != nil {
			return cut(err)
		}
		n, err := z.readLiterals(b[:size])
		if err != nil {
			return err
		}
		return z.sequences(b[n:size])
	}
	return damaged("a block is of no known type")
}
