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
		for _, level := range []zstd.EncoderLevel{
			zstd.SpeedFastest, zstd.SpeedDefault, zstd.SpeedBetterCompression,
			zstd.SpeedBestCompression,
		} {
			for _, window := range []int{1 << 10, 1 << 15, 8 << 20} {
				packed := packZstd(t, plain, zstd.WithEncoderLevel(level), zstd.WithWindowSize(window),
					zstd.WithZeroFrames(true))
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
	packed := bytes.Join([][]byte{
		free, packZstd(t, a), free, packZstd(t, b, zstd.WithEncoderCRC(false)),
		packZstd(t, nil, zstd.WithZeroFrames(true)), free,
	}, nil)
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
	const frame = "\x28\xb5\x2f\xfd"
	for text, want := range map[string]string{
		"":                                                "ends too early",
		frame[:3]:                                         "ends too early",
		"\x7fELF\x02\x01":                                 "does not begin as zstd does",
		frame + "\x00\x00\x00\x00\x00":                    "ends too early", // without a last block
		frame + "\x00\x00\x01\x00\x00\x28":                "ends too early", // of another frame
		frame + "\x08\x00\x00\x00":                        "reserved bit",
		frame + "\x01\x00\x07\x01":                        "needs a dictionary",
		frame + "\x00\x88\x01\x00":                        "more than 64 MiB", // a window of 128
		frame + "\xa0\x01\x00\x00\x04\x01\x00":            "more than 64 MiB", // one segment of a byte more
		frame + "\x00\x00\x07\x00\x00":                    "reserved block type",
		frame + "\x00\x00\x09\x00\x10":                    "is damaged", // a block longer than any may be
		frame + "\x20\x02\x19\x00\x00abc":                 "longer than its header says",
		frame + "\x20\x04\x19\x00\x00abc":                 "shorter than its header says",
		frame + "\x24\x03\x19\x00\x00abc\x00\x00\x00\x00": "checksum",
		// What is wrong inside a block, the library names.
		frame + "\x00\x00\x25\x00\x00\x00\x01\x00\x00":                 "file is damaged",
		frame + "\x00\x00\x15\x00\x00\x02\x00":                         "file is damaged",
		frame + "\x00\x00\x35\x00\x00\x0a\x00\x00\x00\x00\x00":         "file is damaged",
		frame + "\x00\x00\x45\x00\x00\x08a\x01\x00\x00\x00\x00\x01":    "file is damaged",
		frame + "\x00\x00\x45\x00\x00\x08a\x01\xff\x00\x00\x00\x00":    "file is damaged",
		frame + "\x00\x00\x45\x00\x00\x08a\x01\xfc\x00\x00\x00\x00":    "file is damaged",
		frame + "\x00\x00\x45\x00\x00\x12\xc0\x00\x01\x00\x00\x00\x00": "file is damaged",
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

func FuzzZstd(f *testing.F) {
	for _, plain := range samples() {
		if len(plain) > 5000 {
			continue
		}
		f.Add(packZstd(f, plain, zstd.WithEncoderCRC(false)))
		f.Add(packZstd(f, plain, zstd.WithEncoderLevel(zstd.SpeedBestCompression)))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		got, err := drain(t, ".zst", packed)
		if err != nil || len(got) > 1<<19 {
			return
		}
		// At once instead of as a stream, which the library does by other code.
		z, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(1<<20))
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		if want, err := z.DecodeAll(packed, nil); err == nil && !bytes.Equal(got, want) {
			t.Errorf("%d bytes, and %d at once", len(got), len(want))
		}
	})
}
