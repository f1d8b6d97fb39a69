package unpack

import (
	"encoding/binary"
	"math/bits"
)

// The primes of XXH64 (github.com/Cyan4973/xxHash, doc/xxhash_spec.md).
const (
	prime1 uint64 = 0x9E3779B185EBCA87
	prime2 uint64 = 0xC2B2AE3D27D4EB4F
	prime3 uint64 = 0x165667B19E3779F9
	prime4 uint64 = 0x85EBCA77C2B2AE63
	prime5 uint64 = 0x27D4EB2F165667C5
)

// xxhash64 is XXH64 with seed 0, the checksum of zstd's frames.
type xxhash64 struct {
	lanes [4]uint64
	total uint64
	rest  [32]byte // of which total % 32 bytes count
}

func newXXHash64() xxhash64 {
	one, two := prime1, prime2 // variables wrap around, constants do not
	return xxhash64{lanes: [4]uint64{one + two, two, 0, -one}}
}

func (x *xxhash64) write(b []byte) {
	have := int(x.total % 32)
	x.total += uint64(len(b))
	if have > 0 {
		n := copy(x.rest[have:], b)
		b = b[n:]
		if have+n < 32 {
			return
		}
		x.stripes(x.rest[:])
	}
	x.stripes(b)
	copy(x.rest[:], b[len(b)&^31:])
}

// stripes takes as many whole stripes of 32 bytes as b has.
func (x *xxhash64) stripes(b []byte) {
	for ; len(b) >= 32; b = b[32:] {
		for i := range x.lanes {
			x.lanes[i] = round(x.lanes[i], binary.LittleEndian.Uint64(b[8*i:]))
		}
	}
}

func round(lane, word uint64) uint64 {
	return bits.RotateLeft64(lane+word*prime2, 31) * prime1
}

func (x *xxhash64) sum() uint64 {
	h := prime5
	if x.total >= 32 {
		h = 0
		for i, rotate := range [4]int{1, 7, 12, 18} {
			h += bits.RotateLeft64(x.lanes[i], rotate)
		}
		for _, lane := range x.lanes {
			h = (h^round(0, lane))*prime1 + prime4
		}
	}
	h += x.total
	b := x.rest[:x.total%32]
	for ; len(b) >= 8; b = b[8:] {
		h = bits.RotateLeft64(h^round(0, binary.LittleEndian.Uint64(b)), 27)*prime1 + prime4
	}
	if len(b) >= 4 {
		h = bits.RotateLeft64(h^uint64(binary.LittleEndian.Uint32(b))*prime1, 23)*prime2 + prime3
		b = b[4:]
	}
	for _, c := range b {
		h = bits.RotateLeft64(h^uint64(c)*prime5, 11) * prime1
	}
	h = (h ^ h>>33) * prime2
	h = (h ^ h>>29) * prime3
	return h ^ h>>32
}
