package compress

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"
)

// A XZStream reads the xz stream that a reader is at, packed, and no byte after
// it: the library that unpacks it reads ahead, and may not have what follows, which
// is the next segment of an image or the size of a kernel. It goes by the lengths
// and checks nothing; where they make no sense it ends, for the library to say so.
// Section numbers are those of "The .xz File Format", 1.2.1.
type XZStream struct {
	in   *bufio.Reader
	left int               // bytes that are known to belong to it
	next func(s *XZStream) // finds out about more; nil: there are none
	err  error             // of finding out

	check   int    // length of the check of a block, 2.1.1.2
	packed  int    // length of the chunks of a block, modulo 4
	index   int    // length of the index, modulo 4
	numbers uint64 // of the index, that are left
}

// NewXZStream begins at the first byte of a stream.
func NewXZStream(in *bufio.Reader) *XZStream { return &XZStream{in: in, next: (*XZStream).header} }

// Read implements io.Reader.
func (s *XZStream) Read(p []byte) (int, error) {
	for s.left == 0 {
		if s.next == nil {
			if s.err != nil {
				return 0, s.err
			}
			return 0, io.EOF
		}
		s.next(s)
	}
	n, err := s.in.Read(p[:min(len(p), s.left)])
	s.left -= n
	return n, err
}

// peek looks at the next n bytes. If there are fewer, they are all that is read.
func (s *XZStream) peek(n int) (b []byte, ok bool) {
	b, err := s.in.Peek(n)
	if err != nil {
		s.left, s.next = len(b), nil
		if !errors.Is(err, io.EOF) {
			s.err = err
		}
		return nil, false
	}
	return b, true
}

// header is that of the stream (2.1.1).
func (s *XZStream) header() {
	if b, ok := s.peek(12); ok {
		s.left, s.next = len(b), (*XZStream).block
		if kind := int(b[7] & 15); kind > 0 {
			s.check = 4 << ((kind - 1) / 3)
		}
	}
}

// block is a block's header (3.1), or the index after the last (4).
func (s *XZStream) block() {
	b, ok := s.peek(1)
	switch {
	case !ok:
	case b[0] == 0:
		s.left, s.index, s.next = 1, 1, (*XZStream).records
	default:
		s.left, s.packed, s.next = 4*(int(b[0])+1), 0, (*XZStream).chunk
	}
}

// chunk is one of LZMA2, of which the last is a zero byte (5.3.1; xz-embedded,
// linux/lib/xz/xz_dec_lzma2.c). The block's padding and check follow that.
func (s *XZStream) chunk() {
	b, ok := s.peek(1)
	if !ok {
		return
	}
	switch control := b[0]; {
	case control == 0:
		padding := -(s.packed + 1) & 3
		s.left, s.next = 1+padding+s.check, (*XZStream).block
		return
	case control < 3: // plain
		if b, ok = s.peek(3); ok {
			s.left = 3 + int(binary.BigEndian.Uint16(b[1:])) + 1
		}
	case control < 0x80: // none is
		s.left, s.next = 1, nil
	default:
		if b, ok = s.peek(5); ok {
			s.left = 5 + int(binary.BigEndian.Uint16(b[3:])) + 1
			if control >= 0xc0 { // properties
				s.left++
			}
		}
	}
	s.packed = (s.packed + s.left) & 3
}

// records begins the index (4.2): their number, and two numbers each.
func (s *XZStream) records() {
	if n, ok := s.number(); ok {
		s.numbers, s.next = 2*n, (*XZStream).record
	}
}

func (s *XZStream) record() {
	if s.numbers == 0 {
		const crc, footer = 4, 12
		s.left, s.next = -s.index&3+crc+footer, nil
	} else if _, ok := s.number(); ok {
		s.numbers--
	}
}

// number is an integer of variable length (1.2).
func (s *XZStream) number() (v uint64, ok bool) {
	const most = 9
	for n := 1; n <= most; n++ {
		b, ok := s.peek(n)
		if !ok {
			return 0, false
		}
		if b[n-1] < 0x80 {
			v, _ := binary.Uvarint(b)
			s.left, s.index = n, (s.index+n)&3
			return v, true
		}
	}
	s.left, s.next = most, nil
	return 0, false
}
