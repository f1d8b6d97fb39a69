package unpack

import (
	"bytes"
	"compress/gzip"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

var plain = []byte(strings.Repeat("\x7fELF module ", 9000))

func pack(t testing.TB, plain []byte, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var b bytes.Buffer
	w, err := open(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func packed(t testing.TB) map[string][]byte {
	t.Helper()
	return map[string][]byte{
		"m.ko": plain,
		"m.ko.xz": pack(t, plain, func(w io.Writer) (io.WriteCloser, error) {
			return xz.WriterConfig{CheckSum: xz.CRC32}.NewWriter(w)
		}),
		"m.ko.zst": pack(t, plain, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w) }),
		"m.ko.gz":  pack(t, plain, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriter(w), nil }),
	}
}

func TestModule(t *testing.T) {
	for path, data := range packed(t) {
		r, err := Module(path, bytes.NewReader(data))
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes, %v", path, len(got), err)
		}
		if path == "m.ko" {
			continue
		}
		r, err = Module(path, bytes.NewReader(data[:len(data)/2]))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if err == nil {
			t.Errorf("%s: half a file is not noticed", path)
		}
	}
}

func FuzzModule(f *testing.F) {
	for path, data := range packed(f) {
		f.Add(path, data)
	}
	f.Add("x.zst", []byte("(\xb5/\xfd"))
	f.Fuzz(func(t *testing.T, path string, data []byte) {
		_, _ = drain(t, path, data)
	})
}
