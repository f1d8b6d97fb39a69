package unpack

import "math/bits"

const maxFSELog = 9 // 3.1.1.3.2.1, of literal and match lengths

// A fseEntry is a state of a finite state entropy decoder (4.1): the symbol it
// stands for, and how the next state is found.
type fseEntry struct {
	base   uint16
	bits   uint8
	symbol uint8
}

type fseTable struct {
	log     uint
	entries [1 << maxFSELog]fseEntry
}

// readFSE reads the description of a table (4.1.1) from the start of b, and
// builds it. It returns how many bytes it took, 0 if b is damaged. Counts is
// room for the symbols' counts: as many as the table may have symbols.
func (t *fseTable) read(b []byte, maxLog uint, counts []int16) int {
	if len(b) == 0 {
		return 0
	}
	log := uint(b[0]&15) + 5
	if log > maxLog {
		return 0
	}
	at := uint(4) // in bits
	left := 1<<log + 1
	threshold := 1 << log
	width := log + 1
	n := 0
	for left > 1 {
		if n >= len(counts) || at/8 >= uint(len(b)) {
			return 0
		}
		word := forward(b, at)
		small := 2*threshold - 1 - left // so many values need a bit less
		count := int(word) & (threshold - 1)
		if count < small {
			at += width - 1
		} else {
			count = int(word) & (2*threshold - 1)
			if count >= threshold {
				count -= small
			}
			at += width
		}
		count--
		counts[n] = int16(count) //nolint:gosec // at most 1<<9
		n++
		if count < 0 {
			left--
		} else {
			left -= count
		}
		for left < threshold && threshold > 1 {
			width--
			threshold >>= 1
		}
		if count != 0 {
			continue
		}
		for more := 3; more == 3; at += 2 {
			if at/8 >= uint(len(b)) {
				return 0
			}
			more = int(forward(b, at)) & 3
			for range more {
				if n >= len(counts) {
					return 0
				}
				counts[n] = 0
				n++
			}
		}
	}
	used := int(at+7) / 8
	if left != 1 || used > len(b) || !t.build(log, counts[:n]) {
		return 0
	}
	return used
}

// forward returns at least 16 bits of b from bit at on, zeros after its end.
func forward(b []byte, at uint) uint32 {
	var v uint32
	i := int(at / 8)
	for j := range 3 {
		if i+j < len(b) {
			v |= uint32(b[i+j]) << (8 * j)
		}
	}
	return v >> (at % 8)
}

// build fills the table from the symbols' counts; -1 is a symbol of less than
// one state (4.1.1).
func (t *fseTable) build(log uint, counts []int16) bool {
	size := 1 << log
	high := size - 1
	var next [256]uint16
	for s, count := range counts {
		if count == -1 {
			if high < 0 {
				return false
			}
			t.entries[high].symbol = uint8(s)
			high--
			next[s] = 1
		} else {
			next[s] = uint16(count)
		}
	}
	at := 0
	for s, count := range counts {
		for range count {
			t.entries[at].symbol = uint8(s)
			for {
				at = (at + size>>1 + size>>3 + 3) & (size - 1)
				if at <= high {
					break
				}
				if high < 0 {
					return false
				}
			}
		}
	}
	if at != 0 {
		return false
	}
	for i := range t.entries[:size] {
		e := &t.entries[i]
		x := next[e.symbol]
		next[e.symbol]++
		e.bits = uint8(log) - uint8(bits.Len16(x)-1)
		e.base = x<<e.bits - uint16(size)
	}
	t.log = log
	return true
}

// single makes a table of one symbol, which needs no bits.
func (t *fseTable) single(symbol uint8) {
	t.log = 0
	t.entries[0] = fseEntry{symbol: symbol}
}

// A backward is a stream of bits that is read from its end (4.1). The bytes
// behind data in memory must be readable: see load.
type backward struct {
	data []byte
	left int // bits
}

// open finds the bit that marks the stream's end; false when there is none.
func (r *backward) open(data []byte) bool {
	n := len(data)
	if n == 0 || data[n-1] == 0 {
		return false
	}
	r.data = data[:n+inputPadding]
	r.left = 8*(n-1) + bits.Len8(data[n-1]) - 1
	return true
}

// read takes n bits, at most 56. Bits before the stream's start are zero, and
// leave left below zero.
func (r *backward) read(n uint) uint64 {
	r.left -= int(n)
	at, shift := r.left, uint(0)
	if at < 0 {
		if at <= -56 {
			return 0
		}
		at, shift = 0, uint(-at)
	}
	v := load(r.data[at>>3:]) >> (uint(at) & 7)
	return v << shift & (1<<n - 1)
}

// load reads eight bytes; the compiler makes one instruction of it.
func load(b []byte) uint64 {
	_ = b[7]
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 |
		uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}
