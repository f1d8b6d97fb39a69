package rootfs

import (
	"encoding/binary"
	"errors"
)

// XDR (RFC 4506): everything is big-endian and padded to four bytes. Writing is
// by append, reading by an xdrReader that remembers its first error.

func appendUint32(b []byte, v uint32) []byte { return binary.BigEndian.AppendUint32(b, v) }

func appendOpaque(b []byte, s string) []byte {
	b = append(appendUint32(b, uint32(len(s))), s...)
	return append(b, make([]byte, -len(s)&3)...)
}

var errShort = errors.New("message is cut short")

type xdrReader struct {
	b   []byte
	err error
}

func (r *xdrReader) uint32() uint32 {
	if r.err == nil && len(r.b) < 4 {
		r.err = errShort
	}
	if r.err != nil {
		return 0
	}
	v := binary.BigEndian.Uint32(r.b)
	r.b = r.b[4:]
	return v
}

// opaque reads variable-length bytes, of which there may be at most limit.
func (r *xdrReader) opaque(limit int) []byte {
	n := int64(r.uint32())
	switch {
	case r.err != nil:
		return nil
	case n > int64(limit):
		r.err = errors.New("message holds a longer string than the protocol allows")
		return nil
	case (n+3)&^3 > int64(len(r.b)):
		r.err = errShort
		return nil
	}
	v := r.b[:n]
	r.b = r.b[(n+3)&^3:]
	return v
}

func (r *xdrReader) bool() bool { return r.uint32() != 0 }
