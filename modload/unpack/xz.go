package unpack

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
)

// Section numbers are those of "The .xz File Format", version 1.2.1
// (tukaani.org/xz/xz-file-format.txt).

const (
	xzMagic = "\xfd7zXZ\x00" // 2.1.1.1
	xzEnd   = "YZ"           // 2.1.2.4
)

// The checks of a block's plain data (2.1.1.2), and how long they are.
const (
	checkNone   = 0x00
	checkCRC32  = 0x01
	checkCRC64  = 0x04
	checkSHA256 = 0x0a
)

// lzma2 is the number of the only filter that modules are packed with (5.3.1).
const lzma2 = 0x21

// A sum is the check of plain data; hash.Hash is one.
type sum interface {
	io.Writer
	Sum(b []byte) []byte
	Reset()
}

// A xzBlock is what the index says about a block (4.3).
type xzBlock struct{ packed, plain uint64 }

// xzReader unpacks streams, a chunk of LZMA2 at a time.
type xzReader struct {
	window
	src *bufio.Reader
	crc hash.Hash32 // of the header, the index or the footer being read
	at  uint64      // bytes read of this block or index

	streams int
	single  bool // nothing is read after the first stream
	inside  bool // a stream
	check   byte
	hash    sum       // nil: no check
	blocks  []xzBlock // of this stream
	block   bool      // inside a block
	plain   uint64    // bytes this block brought so far
	sizes   xzBlock   // what its header said
	known   byte      // bits 6 and 7 as in its header: which of sizes are known

	lzma  lzma
	chunk []byte
}

func newXZ(r io.Reader) *xzReader {
	x := &xzReader{src: bufio.NewReader(r), crc: crc32.NewIEEE()}
	x.next, x.name = x.piece, "xz"
	return x
}

// piece does one thing after another: a stream's header, a block's, a chunk, an index.
func (x *xzReader) piece() error {
	switch {
	case !x.inside && x.single && x.streams > 0:
		return io.EOF
	case !x.inside:
		return x.streamHeader()
	case !x.block:
		return x.blockHeader()
	}
	more, err := x.lzma.chunk(x)
	if err != nil {
		return err
	}
	fresh := x.data[x.read:]
	x.plain += uint64(len(fresh))
	if x.hash != nil {
		_, _ = x.hash.Write(fresh)
	}
	if more {
		return nil
	}
	return x.endBlock()
}

// take reads len(b) bytes, which count for the checksum and the size.
func (x *xzReader) take(b []byte) error {
	n, err := io.ReadFull(x.src, b)
	_, _ = x.crc.Write(b[:n])
	x.at += uint64(n)
	return cut(err)
}

// number reads an integer of variable length (1.2).
func (x *xzReader) number() (uint64, error) {
	var v uint64
	var b [1]byte
	for shift := 0; shift < 63; shift += 7 {
		if err := x.take(b[:]); err != nil {
			return 0, err
		}
		v |= uint64(b[0]&0x7f) << shift
		if b[0] < 0x80 {
			if b[0] == 0 && shift > 0 {
				break
			}
			return v, nil
		}
	}
	return 0, damaged("a number in it is wrong")
}

// summed makes sure that the CRC32 of what was taken follows.
func (x *xzReader) summed(part string) error {
	want := x.crc.Sum32()
	var b [4]byte
	if err := x.take(b[:]); err != nil {
		return err
	}
	x.crc.Reset()
	if binary.LittleEndian.Uint32(b[:]) != want {
		return damaged("the checksum of its " + part + " is another")
	}
	return nil
}

// padded reads zeros until a multiple of four bytes is read.
func (x *xzReader) padded() error {
	for x.at%4 != 0 {
		var b [1]byte
		if err := x.take(b[:]); err != nil {
			return err
		}
		if b[0] != 0 {
			return damaged("its padding is not zero")
		}
	}
	return nil
}

// streamHeader reads the header of the next stream (2.1.1), and the padding
// before it (2.2); io.EOF after the last.
func (x *xzReader) streamHeader() error {
	var b [8]byte
	for {
		if _, err := io.ReadFull(x.src, b[:4]); err != nil {
			if errors.Is(err, io.EOF) && x.streams > 0 {
				return io.EOF
			}
			return cut(err)
		}
		if x.streams == 0 || binary.LittleEndian.Uint32(b[:]) != 0 {
			break
		}
	}
	if _, err := io.ReadFull(x.src, b[4:]); err != nil {
		return cut(err)
	}
	if string(b[:6]) != xzMagic {
		return damaged("it does not begin as xz does")
	}
	x.crc.Reset()
	_, _ = x.crc.Write(b[6:])
	if err := x.summed("header"); err != nil {
		return err
	}
	x.check = b[7]
	switch {
	case b[6] == 0 && x.check == checkNone:
		x.hash = nil
	case b[6] == 0 && x.check == checkCRC32:
		x.hash = crc32.NewIEEE()
	case b[6] == 0 && x.check == checkCRC64:
		x.hash = crc64.New(crc64.MakeTable(crc64.ECMA))
	case b[6] == 0 && x.check == checkSHA256:
		x.hash = newSHA256()
	default:
		return fmt.Errorf("it has a checksum of type %#x: pack it with xz --check=crc32", x.check)
	}
	x.blocks = x.blocks[:0]
	x.inside = true
	x.streams++
	return nil
}

// blockHeader reads the header of the next block (3.1). After the last there
// is the index instead.
func (x *xzReader) blockHeader() error {
	x.at = 0
	var b [2]byte
	if err := x.take(b[:1]); err != nil {
		return err
	}
	if b[0] == 0 {
		return x.index()
	}
	size := 4 * uint64(b[0]) // without the checksum
	if err := x.take(b[1:]); err != nil {
		return err
	}
	unknown := errors.New("it is packed with a filter other than LZMA2: pack it with xz --check=crc32 --lzma2=dict=1MiB")
	if b[1]&0x3f != 0 {
		return unknown
	}
	x.known, x.sizes = b[1], xzBlock{}
	var err error
	if x.known&0x40 != 0 {
		if x.sizes.packed, err = x.number(); err != nil {
			return err
		}
	}
	if x.known&0x80 != 0 {
		if x.sizes.plain, err = x.number(); err != nil {
			return err
		}
	}
	var filter [3]byte // number, length of the properties, size of the dictionary
	if err := x.take(filter[:]); err != nil {
		return err
	}
	if filter[0] != lzma2 || filter[1] != 1 || filter[2] > 40 {
		return unknown
	}
	x.size = dictionary(filter[2])
	for x.at < size {
		if err := x.take(b[:1]); err != nil {
			return err
		}
		if b[0] != 0 {
			return damaged("the header of a block is wrong")
		}
	}
	if x.at > size {
		return damaged("the header of a block is too short")
	}
	if err := x.summed("header of a block"); err != nil {
		return err
	}
	x.sizes.packed += x.at // compared with at
	x.plain = 0
	if x.hash != nil {
		x.hash.Reset()
	}
	x.lzma.fresh()
	x.block = true
	return nil
}

// dictionary is how far matches may reach, in bytes (5.3.1). More than
// maxWindow is not kept: a match that needs it fails.
func dictionary(b byte) int {
	return int(min(uint64(2|b&1)<<(b/2+11), maxWindow)) //nolint:gosec // at most maxWindow
}

// endBlock reads what follows the last chunk of a block (3.3, 3.4).
func (x *xzReader) endBlock() error {
	wrong := damaged("a block is not as long as its header says")
	if x.known&0x40 != 0 && x.at != x.sizes.packed || x.known&0x80 != 0 && x.plain != x.sizes.plain {
		return wrong
	}
	packed := x.at
	if err := x.padded(); err != nil {
		return err
	}
	if x.hash != nil {
		want := x.hash.Sum(nil)
		if x.check != checkSHA256 { // integers, and the least significant byte is first
			for i := range len(want) / 2 {
				j := len(want) - 1 - i
				want[i], want[j] = want[j], want[i]
			}
		}
		got := make([]byte, len(want))
		if err := x.take(got); err != nil {
			return err
		}
		if string(got) != string(want) {
			return damaged("its checksum is another")
		}
		packed += uint64(len(got))
	}
	x.blocks = append(x.blocks, xzBlock{packed, x.plain})
	x.crc.Reset()
	x.block = false
	return nil
}

// index compares the index of a stream (4) with its blocks, and reads the
// footer (2.1.2) after it.
func (x *xzReader) index() error {
	wrong := damaged("its index is wrong")
	n, err := x.number()
	if err != nil {
		return err
	}
	if n != uint64(len(x.blocks)) {
		return wrong
	}
	for _, b := range x.blocks {
		packed, err := x.number()
		if err != nil {
			return err
		}
		plain, err := x.number()
		if err != nil {
			return err
		}
		if packed != b.packed || plain != b.plain {
			return wrong
		}
	}
	if err := x.padded(); err != nil {
		return err
	}
	if err := x.summed("index"); err != nil {
		return err
	}
	size := x.at
	var b [12]byte
	if err := x.take(b[:]); err != nil {
		return err
	}
	if binary.LittleEndian.Uint32(b[:]) != crc32.ChecksumIEEE(b[4:10]) ||
		4*(uint64(binary.LittleEndian.Uint32(b[4:]))+1) != size ||
		b[8] != 0 || b[9] != x.check || string(b[10:]) != xzEnd {
		return damaged("its end is wrong")
	}
	x.crc.Reset()
	x.inside = false
	return nil
}
