package unpack

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
)

func packZstd(t testing.TB, plain []byte, options ...zstd.EOption) []byte {
	t.Helper()
	return pack(t, plain, func(w io.Writer) (io.WriteCloser, error) { return zstd.NewWriter(w, options...) })
}

func TestZstd(t *testing.T) {
	for name, plain := range samples() {
		for _, level := range []zstd.EncoderLevel{zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression, zstd.SpeedBestCompression} {
			for _, window := range []int{1 << 10, 1 << 15, 8 << 20} {
				packed := packZstd(t, plain, zstd.WithEncoderLevel(level), zstd.WithWindowSize(window), zstd.WithZeroFrames(true))
				if got, err := open(t, ".zst", packed); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%s, %v, window %d: %d of %d bytes, %v", name, level, window, len(got), len(plain), err)
				}
			}
		}
	}
}

// Frames follow each other, and others lie between them.
func TestZstdFrames(t *testing.T) {
	a, b := sample(5000), sample(150000)
	free := []byte("\x5d\x2a\x4d\x18\x03\x00\x00\x00abc")
	packed := bytes.Join([][]byte{free, packZstd(t, a), free, packZstd(t, b, zstd.WithEncoderCRC(false)), packZstd(t, nil, zstd.WithZeroFrames(true)), free}, nil)
	got, err := open(t, ".zst", packed)
	if err != nil || !bytes.Equal(got, append(a, b...)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
}

func TestZstdDamage(t *testing.T) {
	plain := sample(3000)
	damage(t, ".zst", packZstd(t, plain), plain, 1)
}

func TestZstdErrors(t *testing.T) {
	for text, want := range map[string]string{
		"":                                                                     "ends too early",
		"\x28\xb5\x2f":                                                         "ends too early",
		"\x7fELF\x02\x01":                                                      "does not begin as zstd does",
		"\x28\xb5\x2f\xfd\x08\x00\x00\x00":                                     "reserved bit",
		"\x28\xb5\x2f\xfd\x01\x00\x07\x01":                                     "needs a dictionary",
		"\x28\xb5\x2f\xfd\x00\x88\x01\x00":                                     "needs 128 MiB",
		"\x28\xb5\x2f\xfd\x00\x00\x07\x00\x00":                                 "no known type",
		"\x28\xb5\x2f\xfd\x00\x00\x09\x00\x10":                                 "too long",
		"\x28\xb5\x2f\xfd\x20\x02\x19\x00\x00abc":                              "longer than its header says",
		"\x28\xb5\x2f\xfd\x20\x04\x19\x00\x00abc":                              "shorter than its header says",
		"\x28\xb5\x2f\xfd\x24\x03\x19\x00\x00abc\x00\x00\x00\x00":              "checksum",
		"\x28\xb5\x2f\xfd\x00\x00\x25\x00\x00\x00\x01\x00\x00":                 "of a block",
		"\x28\xb5\x2f\xfd\x00\x00\x15\x00\x00\x02\x00":                         "literals of a block",
		"\x28\xb5\x2f\xfd\x00\x00\x35\x00\x00\x0a\x00\x00\x00\x00\x00":         "Huffman code",
		"\x28\xb5\x2f\xfd\x00\x00\x45\x00\x00\x08a\x01\x00\x00\x00\x00\x01":    "sequences of a block",
		"\x28\xb5\x2f\xfd\x00\x00\x45\x00\x00\x08a\x01\xff\x00\x00\x00\x00":    "sequences of a block",
		"\x28\xb5\x2f\xfd\x00\x00\x45\x00\x00\x08a\x01\xfc\x00\x00\x00\x00":    "codes of a block",
		"\x28\xb5\x2f\xfd\x00\x00\x45\x00\x00\x12\xc0\x00\x01\x00\x00\x00\x00": "Huffman code",
	} {
		if _, err := open(t, ".zst", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

// A reader that fails is not taken for the end.
func TestZstdReader(t *testing.T) {
	broken := errors.New("broken")
	packed := packZstd(t, sample(3000))
	for n := range packed {
		r, err := Module(".zst", io.MultiReader(bytes.NewReader(packed[:n]), failing{broken}))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestXXHash(t *testing.T) {
	// Of the specification's sanity checks, and of many writes of any length.
	x := newXXHash64()
	if got := x.sum(); got != 0xEF46DB3751D8E999 {
		t.Errorf("of nothing: %#x", got)
	}
	b := sample(1000)
	one, many := newXXHash64(), newXXHash64()
	one.write(b)
	for n := 0; len(b) > 0; n++ {
		k := min(n, len(b))
		many.write(b[:k])
		b = b[k:]
	}
	if one.sum() != many.sum() {
		t.Errorf("at once %#x, in pieces %#x", one.sum(), many.sum())
	}
}

func FuzzZstd(f *testing.F) {
	for _, plain := range samples() {
		if len(plain) > 5000 {
			continue
		}
		f.Add(packZstd(f, plain, zstd.WithEncoderCRC(false)))
		f.Add(packZstd(f, plain, zstd.WithEncoderLevel(zstd.SpeedBestCompression)))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		const most = 1 << 20
		var mine, theirs []byte
		r, err := Module(".zst", bytes.NewReader(packed))
		if err == nil {
			mine, err = io.ReadAll(io.LimitReader(r, most))
		}
		if err != nil {
			return
		}
		z, err := zstd.NewReader(bytes.NewReader(packed), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(maxWindow))
		if err == nil {
			theirs, err = io.ReadAll(io.LimitReader(z, most))
		}
		if err == nil && !bytes.Equal(mine, theirs) {
			t.Errorf("%d bytes, and %d with the other", len(mine), len(theirs))
		}
	})
}
