package linescan

import (
	"fmt"
	"io"
)

// Bound reads r. More than most bytes are an error: what is cut off silently would look like the whole.
func Bound(r io.Reader, most int64) io.Reader { return &bounded{io.LimitedReader{R: r, N: most}, most} }

type bounded struct {
	io.LimitedReader
	most int64
}

// Read implements io.Reader.
func (b *bounded) Read(p []byte) (int, error) {
	if b.N > 0 {
		return b.LimitedReader.Read(p)
	}
	var more [1]byte
	n, err := io.ReadFull(b.R, more[:])
	if n > 0 {
		err = fmt.Errorf("it is longer than %d MiB: it is not the text file that it should be", b.most>>20)
	}
	return 0, err
}
