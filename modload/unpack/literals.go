package unpack

// readLiterals reads the literals of a compressed block (3.1.1.3.1) into
// z.literals, and returns how many bytes of b they took.
func (z *zstdReader) readLiterals(b []byte) (int, error) {
	wrong := damaged("literals of a block are wrong")
	if len(b) == 0 {
		return 0, wrong
	}
	kind, format := b[0]&3, b[0]>>2&3
	if kind < 2 { // as they are; one byte repeated
		head, shift := 1, 3
		switch format {
		case 1:
			head, shift = 2, 4
		case 3:
			head, shift = 3, 4
		}
		if len(b) < head {
			return 0, wrong
		}
		size := int(little(b[:head]) >> shift) //nolint:gosec // 20 bits
		stored := size
		if kind == 1 {
			stored = 1
		}
		if size > maxBlock || len(b) < head+stored {
			return 0, wrong
		}
		z.literals = b[head : head+stored]
		if kind == 1 {
			z.literals = z.made[:size]
			for i := range z.literals {
				z.literals[i] = b[head]
			}
		}
		return head + stored, nil
	}
	head, width := 3, 10
	switch format {
	case 2:
		head, width = 4, 14
	case 3:
		head, width = 5, 18
	}
	if len(b) < head {
		return 0, wrong
	}
	v := little(b[:head]) >> 4
	mask := uint64(1)<<width - 1
	size := int(v & mask)            //nolint:gosec // 18 bits
	packed := int(v >> width & mask) //nolint:gosec // 18 bits
	if size > maxBlock || len(b) < head+packed {
		return 0, wrong
	}
	stream := b[head : head+packed]
	if kind == 2 {
		n := z.code.read(stream, &z.weights)
		if n == 0 {
			return 0, damaged("the Huffman code of a block is wrong")
		}
		stream = stream[n:]
		z.hasCode = true
	}
	z.literals = z.made[:size]
	if !z.hasCode || !z.code.streams(z.literals, stream, format != 0) {
		return 0, wrong
	}
	return head + packed, nil
}

// streams decodes one stream, or four side by side (3.1.1.3.1.6).
func (h *huffman) streams(out, b []byte, four bool) bool {
	if !four {
		return h.decode(out, b)
	}
	if len(b) < 6 || len(out) < 6 {
		return false
	}
	part := (len(out) + 3) / 4
	sizes := b[:6]
	b = b[6:]
	for i := range 3 {
		n := int(sizes[2*i]) | int(sizes[2*i+1])<<8
		if n > len(b) || !h.decode(out[:part], b[:n]) {
			return false
		}
		out, b = out[part:], b[n:]
	}
	return h.decode(out, b)
}
