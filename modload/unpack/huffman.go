package unpack

import "math/bits"

const maxHuffmanBits = 11 // 4.2.1

// A huffman is the table of a code of at most maxHuffmanBits: for each that
// many bits the symbol, and in the upper byte how many of them it takes.
type huffman struct {
	bits  uint
	table [1 << maxHuffmanBits]uint16
}

// read reads the description of a code (4.2.1) from the start of b, returns
// how many bytes it took, 0 if b is damaged.
func (h *huffman) read(b []byte, fse *fseTable) int {
	if len(b) == 0 {
		return 0
	}
	var weights [256]uint8
	var n int
	size := int(b[0])
	if size >= 128 { // four bits each
		n = size - 127
		size = (n + 1) / 2
		if 1+size > len(b) {
			return 0
		}
		for i := range n {
			weights[i] = b[1+i/2] >> (4 * (1 - i&1)) & 15
		}
	} else {
		if 1+size > len(b) {
			return 0
		}
		n = readWeights(b[1:1+size], fse, weights[:255])
	}
	if n == 0 || !h.build(weights[:n+1]) {
		return 0
	}
	return 1 + size
}

// readWeights reads weights packed by FSE: two states take turns until the
// stream is empty (4.2.1.2). It returns how many there are, 0 if b is damaged.
func readWeights(b []byte, fse *fseTable, weights []uint8) int {
	var counts [16]int16
	used := fse.read(b, 6, counts[:])
	if used == 0 {
		return 0
	}
	var r backward
	if !r.open(b[used:]) {
		return 0
	}
	var states [2]uint64
	states[0] = r.read(fse.log)
	states[1] = r.read(fse.log)
	if r.left < 0 {
		return 0
	}
	for n := 0; n < len(weights)-1; n++ {
		e := fse.entries[states[n&1]]
		weights[n] = e.symbol
		if int(e.bits) > r.left { // the other state holds the last one
			weights[n+1] = fse.entries[states[^n&1]].symbol
			return n + 2
		}
		states[n&1] = uint64(e.base) + r.read(uint(e.bits))
	}
	return 0
}

// build makes the table. The last weight is not stored, but follows from the
// others: together they fill the table.
func (h *huffman) build(weights []uint8) bool {
	var ranks [maxHuffmanBits + 2]int
	total := 0
	last := len(weights) - 1
	for _, w := range weights[:last] {
		if w > maxHuffmanBits {
			return false
		}
		ranks[w]++
		total += 1 << w >> 1
	}
	if total == 0 {
		return false
	}
	log := bits.Len(uint(total))
	rest := 1<<log - total
	if log > maxHuffmanBits || rest&(rest-1) != 0 {
		return false
	}
	weights[last] = uint8(bits.Len(uint(rest)))
	ranks[weights[last]]++
	at := 0
	for w := 1; w <= log; w++ { // the longest codes come first
		n := ranks[w]
		ranks[w] = at
		at += n << (w - 1)
	}
	for s, w := range weights {
		if w == 0 {
			continue
		}
		entry := uint16(log+1-int(w))<<8 | uint16(s)
		from := ranks[w]
		ranks[w] += 1 << (w - 1)
		for i := from; i < ranks[w]; i++ {
			h.table[i] = entry
		}
	}
	h.bits = uint(log)
	return true
}

// decode fills out from a stream, which must hold exactly that much.
func (h *huffman) decode(out, stream []byte) bool {
	var r backward
	if !r.open(stream) {
		return false
	}
	shift := 64 - h.bits
	left, i := r.left, 0
	for ; left >= 56 && i+5 <= len(out); i += 5 {
		// Five codes are 55 bits at most.
		at := left - 56
		v := load(r.data[at>>3:]) >> (uint(at) & 7) << 8
		for j := range 5 {
			e := h.table[v>>shift&(1<<maxHuffmanBits-1)]
			out[i+j] = uint8(e)
			v <<= e >> 8
			left -= int(e >> 8)
		}
	}
	r.left = left
	for ; i < len(out); i++ {
		before := r.left
		e := h.table[r.read(h.bits)&(1<<maxHuffmanBits-1)]
		out[i] = uint8(e)
		r.left = before - int(e>>8)
		if r.left < 0 {
			return false
		}
	}
	return r.left == 0
}
