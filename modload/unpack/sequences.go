package unpack

// What the codes of lengths stand for (3.1.1.3.2.1.1): the first length of a
// code is where the one before it ends, and bits say how many there are.
const (
	literalBits = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x01\x01\x01\x02\x02\x03\x03\x04\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
	matchBits = "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00" +
		"\x01\x01\x01\x01\x02\x02\x03\x03\x04\x04\x05\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10"
	shortestMatch = 3
)

// The kinds of codes, in the order of their tables in a block.
const (
	literalLength = iota
	offsetCode
	matchLength
)

// A codeKind says how the codes of a kind may be distributed: the largest
// table, how many codes there are, and the distribution when none is given
// (3.1.1.3.2.2), as one digit each; x is less than one.
type codeKind struct {
	maxLog, log uint
	codes       int
	usual       string
}

func kindOf(i int) codeKind {
	switch i {
	case literalLength:
		return codeKind{9, 6, len(literalBits), "432222222222211122222222232111" + "11xxxx"}
	case offsetCode:
		return codeKind{8, 5, 32, "111111222111111111111111xxxxx"}
	}
	return codeKind{9, 6, len(matchBits), "1432222221111111111111111111111111111111111111xxxxxxx"}
}

// lengths are the first lengths of the codes.
func lengths(first uint32, bits string) (base [64]uint32) {
	for i := range len(bits) {
		base[i] = first
		first += 1 << bits[i]
	}
	return base
}

// table readies the table of a kind as the block says: 0 the usual, 1 one
// code only, 2 described here, 3 that of the last block. It returns what is
// left of b, and false if b is damaged.
func (z *zstdReader) table(kind int, mode uint8, b []byte) ([]byte, bool) {
	k, t := kindOf(kind), &z.tables[kind]
	counts := z.counts[:k.codes]
	switch mode {
	case 0:
		for i := range len(k.usual) {
			counts[i] = int16(k.usual[i] - '0')
			if k.usual[i] == 'x' {
				counts[i] = -1
			}
		}
		t.build(k.log, counts[:len(k.usual)])
	case 1:
		if len(b) == 0 || int(b[0]) >= k.codes {
			return nil, false
		}
		t.single(b[0])
		b = b[1:]
	case 2:
		n := t.read(b, k.maxLog, counts)
		if n == 0 {
			return nil, false
		}
		b = b[n:]
	default:
		return b, z.hasTable[kind]
	}
	z.hasTable[kind] = true
	return b, true
}

// sequences reads the sequences of a block (3.1.1.3.2) and carries them out:
// so many literals, then a match.
func (z *zstdReader) sequences(b []byte) error {
	wrong := damaged("sequences of a block are wrong")
	if len(b) == 0 {
		return wrong
	}
	n, head := int(b[0]), 1
	switch {
	case n == 255 && len(b) >= 3:
		n, head = int(b[1])+int(b[2])<<8+0x7F00, 3
	case n >= 128 && len(b) >= 2:
		n, head = (n-128)<<8+int(b[1]), 2
	}
	b = b[head:]
	if n == 0 {
		if len(b) > 0 {
			return wrong
		}
		z.data = append(z.data, z.literals...)
		return nil
	}
	if len(b) == 0 || b[0]&3 != 0 {
		return wrong
	}
	modes := b[0]
	b = b[1:]
	for kind := range z.tables {
		var ok bool
		if b, ok = z.table(kind, modes>>(6-2*kind)&3, b); !ok {
			return damaged("codes of a block are wrong")
		}
	}
	var r backward
	if !r.open(b) || !z.carryOut(&r, n) {
		return wrong
	}
	return nil
}

// carryOut appends n sequences and the literals that are left after them.
func (z *zstdReader) carryOut(r *backward, n int) bool {
	room := maxBlock
	literals := z.literals
	ll, of, ml := &z.tables[literalLength], &z.tables[offsetCode], &z.tables[matchLength]
	l, o, m := r.read(ll.log), r.read(of.log), r.read(ml.log)
	for i := range n {
		const mask = 1<<maxFSELog - 1
		le, oe, me := ll.entries[l&mask], of.entries[o&mask], ml.entries[m&mask]
		offset := int(1<<oe.symbol + r.read(uint(oe.symbol)))                         //nolint:gosec // 32 bits
		match := int(z.matches[me.symbol]) + int(r.read(uint(matchBits[me.symbol])))  //nolint:gosec // 17 bits
		literal := int(z.runs[le.symbol]) + int(r.read(uint(literalBits[le.symbol]))) //nolint:gosec // 17 bits
		room -= literal + match
		if r.left < 0 || literal > len(literals) || room < 0 || oe.symbol > 30 { // beyond any window
			return false
		}
		z.data = append(z.data, literals[:literal]...)
		literals = literals[literal:]
		if !z.match(z.distance(offset, literal == 0), match) {
			return false
		}
		if i == n-1 {
			break
		}
		l = uint64(le.base) + r.read(uint(le.bits))
		m = uint64(me.base) + r.read(uint(me.bits))
		o = uint64(oe.base) + r.read(uint(oe.bits))
	}
	z.data = append(z.data, literals...)
	return r.left == 0 && len(literals) <= room
}

// distance turns an offset into how far back a match begins: values up to 3
// stand for the last three distances (3.1.1.5).
func (z *zstdReader) distance(offset int, noLiterals bool) int {
	if offset > 3 {
		z.repeat = [3]int{offset - 3, z.repeat[0], z.repeat[1]}
		return offset - 3
	}
	i := offset - 1
	if noLiterals {
		i++
	}
	if i == 0 {
		return z.repeat[0]
	}
	d := z.repeat[0] - 1 // 0 is damage, and match says so
	if i < 3 {
		d = z.repeat[i]
	}
	if i > 1 {
		z.repeat[2] = z.repeat[1]
	}
	z.repeat[1], z.repeat[0] = z.repeat[0], d
	return d
}
