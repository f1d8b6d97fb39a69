package unpack

import (
	"bufio"
	"io"
)

// LZMA2 unpacks the chunks of LZMA2 that r begins with, without an xz stream
// around them: for kernels, whose xz has a filter that modules have not. properties is
// the byte of the filter that says how far matches reach (xz-file-format.txt,
// 5.3.1); memory is bound to 64 MiB whatever it says. /init does not use it, and does not link it.
func LZMA2(r io.Reader, properties byte) io.Reader {
	x := newXZ(r)
	x.name, x.size = "LZMA2", dictionary(min(properties, 40))
	x.lzma.fresh()
	x.next = func() error {
		more, err := x.lzma.chunk(x)
		if err == nil && !more {
			return io.EOF
		}
		return err
	}
	return x
}

// XZ unpacks the one xz stream that r is at, and reads no byte after it: for
// images, where anything may follow. Memory grows with the plain data, to 128 MiB and the
// largest chunk at most. /init does not use it.
func XZ(r *bufio.Reader) io.Reader {
	x := newXZ(r)
	x.single = true
	return x
}
