package unpack

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// sample makes n bytes that are packed in every way there is: words that come
// again near and far, numbers that differ little, noise, and long runs.
func sample(n int) []byte {
	seed := uint32(1)
	random := func(below int) int {
		seed = seed*1664525 + 1013904223
		return int(seed>>8) % below
	}
	words := strings.Fields("module driver table init exit probe remove queue frame buffer register channel " +
		"node port mutex")
	var b []byte
	for len(b) < n {
		switch random(8) {
		default:
			b = append(append(b, words[random(len(words))]...), "_,\x00"[random(3)])
		case 5:
			b = binary.LittleEndian.AppendUint32(b, uint32(0x1000+len(b)))
		case 6:
			if len(b) > 400 {
				from := random(len(b) - 300)
				b = append(b, b[from:from+random(300)]...)
			}
		case 7:
			if random(4) > 0 {
				b = append(b, byte(random(256)), byte(random(64)))
			} else {
				b = append(b, bytes.Repeat([]byte{byte(random(4))}, 1+random(600))...)
			}
		}
	}
	return b[:n]
}

// samples are all that is packed in tests.
func samples() map[string][]byte {
	noise := sample(70000)
	for i := range noise {
		noise[i] ^= byte(i * i >> 3)
	}
	return map[string][]byte{
		"nothing": nil,
		"byte":    {'x'},
		"few":     sample(40),
		"some":    sample(3000),
		"many":    sample(400000),
		"run":     bytes.Repeat([]byte{0}, 300000),
		"noise":   noise,
	}
}

// open unpacks all of a file.
func open(t testing.TB, name string, packed []byte) ([]byte, error) {
	t.Helper()
	r, err := Module(name, bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// damage changes bytes, and cuts the file, at each multiple of step: neither
// may go unnoticed.
func damage(t *testing.T, name string, packed, plain []byte, step int) {
	t.Helper()
	for i := 0; i < len(packed); i += step {
		bad := bytes.Clone(packed)
		bad[i] ^= 0x10
		if got, err := open(t, name, bad); err == nil && !bytes.Equal(got, plain) {
			t.Errorf("%s: byte %d changed, and nobody says so", name, i)
		}
		if _, err := open(t, name, packed[:i]); err == nil && i > 0 {
			t.Errorf("%s: %d of %d bytes are taken for all", name, i, len(packed))
		}
	}
}

// The files of testdata are sample(200000), packed by xz 5.4.1, zstd 1.5.4
// and gzip 1.12 with the options in their names.
func TestTools(t *testing.T) {
	files, err := filepath.Glob("testdata/*.[xzg]*")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d files in testdata, %v", len(files), err)
	}
	plain := sample(200000)
	for _, name := range files {
		packed, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		got, err := open(t, name, packed)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s: %d bytes, %v", name, len(got), err)
		}
		if !strings.Contains(name, "nocheck") {
			damage(t, name, packed, plain, len(packed)/40)
		}
	}
}
