package unpack

import (
	"encoding/binary"
	"math/bits"
)

// sha256 is SHA-256 (FIPS 180-4), for files that were packed with
// xz --check=sha256. It guards against damage, not against people: the
// package crypto/sha256, with the self-tests and random numbers that come
// along, would be 68 KB of /init.
type sha256 struct {
	state [8]uint32
	block [64]byte
	total uint64
}

func newSHA256() *sha256 {
	s := new(sha256)
	s.Reset()
	return s
}

// Reset begins anew (5.3.3).
func (s *sha256) Reset() {
	s.total = 0
	s.state = [8]uint32{
		0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
	}
}

// Write takes b; it cannot fail.
func (s *sha256) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		c := copy(s.block[s.total%64:], b)
		b = b[c:]
		s.total += uint64(c)
		if s.total%64 == 0 {
			s.compress()
		}
	}
	return n, nil
}

// Sum pads what was written (5.1.1), and appends the digest to b. Nothing can
// be written after it but after a Reset.
func (s *sha256) Sum(b []byte) []byte {
	length := s.total * 8
	_, _ = s.Write([]byte{0x80})
	for s.total%64 != 56 {
		_, _ = s.Write([]byte{0})
	}
	_, _ = s.Write(binary.BigEndian.AppendUint64(nil, length))
	for _, v := range s.state {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return b
}

// compress takes one block (6.2.2).
func (s *sha256) compress() {
	k := [64]uint32{ // 4.2.2
		0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
		0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
		0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
		0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
		0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
		0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
		0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
		0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
	}
	var w [64]uint32
	for i := range w {
		if i < 16 {
			w[i] = binary.BigEndian.Uint32(s.block[4*i:])
			continue
		}
		w[i] = rotations(w[i-2], 17, 19) ^ w[i-2]>>10
		w[i] += rotations(w[i-15], 7, 18) ^ w[i-15]>>3
		w[i] += w[i-7] + w[i-16]
	}
	v := s.state
	for i := range w {
		a, e := v[0], v[4]
		t := v[7] + k[i] + w[i]
		t += rotations(e, 6, 11) ^ bits.RotateLeft32(e, -25)
		t += e&v[5] ^ ^e&v[6]
		u := rotations(a, 2, 13) ^ bits.RotateLeft32(a, -22)
		u += a&v[1] ^ a&v[2] ^ v[1]&v[2]
		copy(v[1:], v[:7])
		v[4] += t
		v[0] = t + u
	}
	for i := range v {
		s.state[i] += v[i]
	}
}

// rotations is x rotated right by m and by n.
func rotations(x uint32, m, n int) uint32 {
	return bits.RotateLeft32(x, -m) ^ bits.RotateLeft32(x, -n)
}
