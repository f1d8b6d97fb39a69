package unpack

import "encoding/binary"

// A chunk of LZMA2 begins with a control byte and its sizes (xz's
// src/liblzma/lzma/lzma2_decoder.c and the Linux kernel's
// lib/xz/xz_dec_lzma2.c describe them).
const (
	chunkEnd        = 0x00
	chunkPlainReset = 0x01 // as it is, the dictionary begins anew
	chunkPlain      = 0x02 // as it is
	chunkPacked     = 0x80
)

// fresh prepares for the first chunk of a block: it must begin a dictionary
// and bring the properties of LZMA.
func (l *lzma) fresh() { l.needDictionary, l.needProperties, l.left = true, true, 0 }

// chunk appends the next chunk to x, or a piece of it, and tells whether there is more.
func (l *lzma) chunk(x *xzReader) (bool, error) {
	wrong := damaged("a chunk is wrong")
	if l.left > 0 {
		if !l.step(&x.window) {
			return false, wrong
		}
		return true, nil
	}
	var h [6]byte
	if err := x.take(h[:1]); err != nil {
		return false, err
	}
	control := h[0]
	if control == chunkEnd {
		return false, nil
	}
	if control > chunkPlain && control < chunkPacked {
		return false, wrong
	}
	// How much begins anew: 1 the state, 2 the properties too, 3 the dictionary too.
	anew := control >> 5 & 3
	if control == chunkPlainReset || control >= chunkPacked && anew == 3 {
		l.needDictionary, l.needProperties = false, true
		x.data, x.read = x.data[:0], 0
	} else if l.needDictionary {
		return false, wrong
	}
	if control < chunkPacked {
		if err := x.take(h[1:3]); err != nil {
			return false, err
		}
		n := int(binary.BigEndian.Uint16(h[1:])) + 1
		x.grow(n)
		begin := len(x.data)
		x.data = x.data[:begin+n]
		if err := x.take(x.data[begin:]); err != nil {
			x.data = x.data[:begin]
			return false, err
		}
		return true, nil
	}
	if err := x.take(h[1:5]); err != nil {
		return false, err
	}
	plain := int(control&0x1f)<<16 + int(binary.BigEndian.Uint16(h[1:])) + 1
	packed := int(binary.BigEndian.Uint16(h[3:])) + 1
	if anew >= 2 {
		if err := x.take(h[5:]); err != nil {
			return false, err
		}
		if !l.properties(h[5]) {
			return false, wrong
		}
		l.needProperties = false
	}
	if anew > 0 {
		l.reset()
	}
	if l.needProperties {
		return false, wrong
	}
	if cap(x.chunk) < packed {
		x.chunk = make([]byte, 1<<16)
	}
	b := x.chunk[:packed]
	if err := x.take(b); err != nil {
		return false, err
	}
	if !l.begin(b, plain) || !l.step(&x.window) {
		return false, wrong
	}
	return true, nil
}
