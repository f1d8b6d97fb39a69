package unpack

import (
	"errors"
	"fmt"
	"io"
)

// A window is plain data, made piece by piece: what matches may still refer
// to, and what nobody has read yet.
type window struct {
	data []byte
	read int // data[:read] was handed out
	size int // how far back matches reach, in bytes
	next func() error
	name string // of the format, for errors
	err  error
}

// Read implements io.Reader by way of next, which appends a piece to data.
// next ends with io.EOF.
func (w *window) Read(p []byte) (int, error) {
	for w.read == len(w.data) {
		if w.err != nil {
			return 0, w.err
		}
		w.trim()
		if err := w.next(); errors.Is(err, io.EOF) {
			w.err = io.EOF
		} else if err != nil {
			w.err = fmt.Errorf("read %s: %w", w.name, err)
		}
	}
	n := copy(p, w.data[w.read:])
	w.read += n
	return n, nil
}

// trim forgets what lies further back than size. Moving what stays costs as
// much as making it, so it waits until there is as much to forget. LZMA
// counts positions modulo 16: they stay the same.
func (w *window) trim() {
	if old := (len(w.data) - w.size) &^ 15; w.read == len(w.data) && old > w.size && old > maxBlock {
		w.data = w.data[:copy(w.data, w.data[old:])]
		w.read = len(w.data)
	}
}

// grow makes room for n bytes more.
func (w *window) grow(n int) {
	if cap(w.data)-len(w.data) >= n {
		return
	}
	data := make([]byte, len(w.data), max(2*cap(w.data), len(w.data)+n))
	copy(data, w.data)
	w.data = data
}

// match appends the n bytes that begin distance bytes back. They may reach
// into what is being appended.
func (w *window) match(distance, n int) bool {
	if distance <= 0 || distance > len(w.data) || distance > w.size {
		return false
	}
	for n > 0 {
		from := len(w.data) - distance
		part := min(n, distance)
		w.data = append(w.data, w.data[from:from+part]...)
		n -= part
		distance += part
	}
	return true
}

var _ io.Reader = (*window)(nil)
