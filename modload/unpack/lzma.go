package unpack

// LZMA as the "LZMA specification" of the LZMA SDK describes it: the bits of
// literals and matches, each with its own adaptive probability, packed by a
// range coder. Its names are kept.

const (
	probBits   = 11 // of a probability
	probShift  = 5  // how fast it adapts
	rangeTop   = 1 << 24
	shortest   = 2  // match
	firstMatch = 7  // states from here on follow a match
	endModel   = 14 // distance slots from here on have bits that are not modelled
	alignBits  = 4
)

// Where each kind of probability begins in lzma.probs. A state is what the
// last few symbols were, 12 in all; a place is the position modulo up to 16.
const (
	isMatch    = 0
	isRep      = isMatch + 12<<4
	isRep0     = isRep + 12
	isRep1     = isRep0 + 12
	isRep2     = isRep1 + 12
	isRep0Long = isRep2 + 12
	slots      = isRep0Long + 12<<4 // by the length of the match
	special    = slots + 4<<6
	align      = special + 128
	lengthOf   = align + 1<<alignBits
	repLength  = lengthOf + lengthSize
	literal    = repLength + lengthSize
	probs      = literal + 0x300<<4

	// Within the probabilities of a length.
	lengthLow  = 2
	lengthMid  = lengthLow + 8<<4
	lengthHigh = lengthMid + 8<<4
	lengthSize = lengthHigh + 1<<8
)

// A lzma decodes the packed chunks of a block.
type lzma struct {
	needDictionary, needProperties bool

	lc, lp, pb uint // bits of the byte before, and of the place, that choose a model
	state      int
	reps       [4]int // the last distances less one, the latest first
	probs      [probs]uint16

	in    []byte // of a chunk
	at    int
	left  int // bytes that the chunk has not brought yet
	width uint32
	code  uint32
}

// properties takes the byte that says lc, lp and pb; LZMA2 knows lc+lp up to 4.
func (l *lzma) properties(b byte) bool {
	l.lc, l.lp, l.pb = uint(b%9), uint(b/9%5), uint(b/45)
	return l.pb <= 4 && l.lc+l.lp <= 4
}

// reset makes all bits as likely as not.
func (l *lzma) reset() {
	l.state, l.reps = 0, [4]int{}
	for i := range l.probs {
		l.probs[i] = 1 << probBits >> 1
	}
}

// next moves a byte of the input into the code; after its end, zeros.
func (l *lzma) next() {
	l.code <<= 8
	if l.at < len(l.in) {
		l.code |= uint32(l.in[l.at])
	}
	l.at++
}

// bit decodes one bit of the probability at i.
func (l *lzma) bit(i int) int {
	p := uint32(l.probs[i])
	bound := l.width >> probBits * p
	b := 0
	if l.code < bound {
		l.width = bound
		l.probs[i] = uint16(p + (1<<probBits-p)>>probShift)
	} else {
		l.width -= bound
		l.code -= bound
		l.probs[i] = uint16(p - p>>probShift)
		b = 1
	}
	if l.width < rangeTop {
		l.width <<= 8
		l.next()
	}
	return b
}

// tree decodes n bits, the highest first.
func (l *lzma) tree(i, n int) int { return l.path(l.probs[i:i+1<<n], 1, 1<<n) - 1<<n }

// path decodes bits, each by the probability that those before it lead to, from a node of a tree until
// limit is reached. Most of the time goes here: range and code are kept at hand, and a bit
// decides nothing but numbers, as a processor cannot guess it.
func (l *lzma) path(probs []uint16, node, limit int) int {
	const up = 1<<32 - (1<<probBits - 1<<probShift + 1)
	width, code := l.width, l.code
	for node < limit {
		p := uint32(probs[node])
		bound := width >> probBits * p
		zero := uint32((int64(code) - int64(bound)) >> 63) // all ones if the bit is 0
		one := ^zero
		code -= bound & one
		width -= bound
		width ^= (width ^ bound) & zero
		// Towards 2048 if the bit is 0, else towards 0, both rounded as in bit.
		probs[node] = uint16(p - uint32(int32(p+zero&up)>>probShift)) //nolint:gosec // of 11 bits
		node = node<<1 + int(one&1)
		if width < rangeTop {
			width <<= 8
			code <<= 8
			if l.at < len(l.in) {
				code |= uint32(l.in[l.at])
			}
			l.at++
		}
	}
	l.width, l.code = width, code
	return node
}

// hinted is path for a byte of which another gives a hint: as long as the bits are the same, the
// next bit of the hint chooses between two further trees (0x100 and 0x200 behind the first).
func (l *lzma) hinted(probs []uint16, hint int) int {
	const up = 1<<32 - (1<<probBits - 1<<probShift + 1)
	width, code := l.width, l.code
	node, same := 1, 0x100
	for node < 0x100 {
		hint <<= 1
		bit := hint & same
		at := same + bit + node
		p := uint32(probs[at])
		bound := width >> probBits * p
		zero := uint32((int64(code) - int64(bound)) >> 63)
		one := ^zero
		code -= bound & one
		width -= bound
		width ^= (width ^ bound) & zero
		probs[at] = uint16(p - uint32(int32(p+zero&up)>>probShift)) //nolint:gosec // of 11 bits
		node = node<<1 + int(one&1)
		same &= bit ^ int(int32(zero)) //nolint:gosec // all ones, or none
		if width < rangeTop {
			width <<= 8
			code <<= 8
			if l.at < len(l.in) {
				code |= uint32(l.in[l.at])
			}
			l.at++
		}
	}
	l.width, l.code = width, code
	return node
}

// reverse decodes n bits, the lowest first.
func (l *lzma) reverse(i, n int) int {
	m := l.path(l.probs[i:i+1<<n], 1, 1<<n)
	v := 0
	for range n {
		v, m = v<<1|m&1, m>>1
	}
	return v
}

// direct decodes n bits that are as likely as not.
func (l *lzma) direct(n int) int {
	width, code := l.width, l.code
	v := 0
	for range n {
		width >>= 1
		code -= width
		zero := uint32(int32(code) >> 31) //nolint:gosec // all ones if code was less than width
		code += width & zero
		v = v<<1 + int(zero+1)
		if width < rangeTop {
			width <<= 8
			code <<= 8
			if l.at < len(l.in) {
				code |= uint32(l.in[l.at])
			}
			l.at++
		}
	}
	l.width, l.code = width, code
	return v
}

// begin prepares to unpack the n bytes that in holds; false if it cannot be.
func (l *lzma) begin(in []byte, n int) bool {
	l.in, l.at, l.width, l.left = in, 0, 1<<32-1, n
	for range 5 { // the first is zero
		l.next()
	}
	return in[0] == 0
}

// A piece is about as much as is unpacked at once: who wants to know only how a module begins
// does not pay for the rest.
const (
	pieceSize = 16 << 10
	longest   = 273 // match
)

// step appends the next piece to w; what is left of the chunk is in l.left. False: it is damaged.
func (l *lzma) step(w *window) bool {
	w.grow(min(l.left, pieceSize+longest))
	end := len(w.data) + l.left
	pause := min(end, len(w.data)+pieceSize)
	for len(w.data) < pause && l.at <= len(l.in) {
		place := len(w.data) & (1<<l.pb - 1)
		if l.bit(isMatch+l.state<<4+place) == 0 {
			l.literal(w)
			continue
		}
		if length := l.match(place); length > end-len(w.data) || !w.match(l.reps[0]+1, length) {
			return false
		}
	}
	if l.left = end - len(w.data); l.left > 0 {
		return l.at <= len(l.in)
	}
	return l.code == 0 && l.at == len(l.in)
}

// literal appends a byte.
func (l *lzma) literal(w *window) {
	at := len(w.data)
	before := 0
	if at > 0 {
		before = int(w.data[at-1])
	}
	model := literal + 0x300*(at&(1<<l.lp-1)<<l.lc+before>>(8-l.lc))
	var symbol int
	if l.state >= firstMatch {
		// The byte that the last match would have brought is a hint.
		symbol = l.hinted(l.probs[model:model+0x300], int(w.data[at-1-l.reps[0]]))
	} else {
		symbol = l.path(l.probs[model:model+0x100], 1, 0x100)
	}
	w.data = append(w.data, byte(symbol))
	switch {
	case l.state < 4:
		l.state = 0
	case l.state < 10:
		l.state -= 3
	default:
		l.state -= 6
	}
}

// match decodes a match: its distance to reps[0], its length is returned.
func (l *lzma) match(place int) int {
	late := 0 // the states are three further if the symbol before was a match
	if l.state >= firstMatch {
		late = 3
	}
	if l.bit(isRep+l.state) == 0 {
		l.state = firstMatch + late
		length := l.length(lengthOf, place)
		distance := l.distance(min(length-shortest, 3))
		l.reps = [4]int{distance, l.reps[0], l.reps[1], l.reps[2]}
		return length
	}
	old := 0
	switch {
	case l.bit(isRep0+l.state) == 0:
		if l.bit(isRep0Long+l.state<<4+place) == 0 {
			l.state = min(9+late, 11)
			return 1
		}
	case l.bit(isRep1+l.state) == 0:
		old = 1
	default:
		old = 2 + l.bit(isRep2+l.state)
	}
	distance := l.reps[old]
	copy(l.reps[1:old+1], l.reps[:old])
	l.reps[0] = distance
	l.state = 8 + late
	return l.length(repLength, place)
}

// length decodes the length of a match.
func (l *lzma) length(i, place int) int {
	if l.bit(i) == 0 {
		return shortest + l.tree(i+lengthLow+place<<3, 3)
	}
	if l.bit(i+1) == 0 {
		return shortest + 8 + l.tree(i+lengthMid+place<<3, 3)
	}
	return shortest + 16 + l.tree(i+lengthHigh, 8)
}

// distance decodes how far back a match begins, less one.
func (l *lzma) distance(class int) int {
	slot := l.tree(slots+class<<6, 6)
	if slot < 4 {
		return slot
	}
	n := slot>>1 - 1
	d := (2 | slot&1) << n
	if slot < endModel {
		return d + l.reverse(special+d-slot, n)
	}
	return d + l.direct(n-alignBits)<<alignBits + l.reverse(align, alignBits)
}
