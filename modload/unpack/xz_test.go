package unpack

import (
	"bytes"
	"io"
	"strings"
	"testing"

	lib "crypto/sha256"

	"github.com/ulikunitz/xz"
	sdk "github.com/ulikunitz/xz/lzma"
)

func packXZ(t testing.TB, plain []byte, c xz.WriterConfig) []byte {
	t.Helper()
	return pack(t, plain, func(w io.Writer) (io.WriteCloser, error) { return c.NewWriter(w) })
}

func TestXZ(t *testing.T) {
	for name, plain := range samples() {
		for _, c := range []xz.WriterConfig{
			{CheckSum: xz.CRC32},
			{CheckSum: xz.CRC64, DictCap: 1 << 12},
			{CheckSum: xz.SHA256, BlockSize: 30000},
			{NoCheckSum: true, BlockSize: 7777, DictCap: 1 << 16},
			{CheckSum: xz.CRC32, Properties: &sdk.Properties{LC: 0, LP: 4, PB: 0}},
		} {
			packed := packXZ(t, plain, c)
			if got, err := open(t, ".xz", packed); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %+v: %d of %d bytes, %v", name, c, len(got), len(plain), err)
			}
		}
	}
}

// Streams follow each other, with padding after them.
func TestXZStreams(t *testing.T) {
	a, b := sample(5000), sample(150000)
	packed := bytes.Join([][]byte{packXZ(t, a, xz.WriterConfig{}), make([]byte, 8), packXZ(t, b, xz.WriterConfig{CheckSum: xz.SHA256}), make([]byte, 4)}, nil)
	got, err := open(t, ".xz", packed)
	if err != nil || !bytes.Equal(got, append(a, b...)) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if _, err := open(t, ".xz", append(packed, 0)); err == nil {
		t.Error("five bytes of padding are taken")
	}
}

func TestXZDamage(t *testing.T) {
	plain := sample(3000)
	for _, check := range []byte{xz.CRC32, xz.CRC64, xz.SHA256} {
		damage(t, ".xz", packXZ(t, plain, xz.WriterConfig{CheckSum: check}), plain, 1)
	}
}

func TestXZErrors(t *testing.T) {
	const stream = "\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36"
	for text, want := range map[string]string{
		"":                                  "ends too early",
		stream[:9]:                          "ends too early",
		stream:                              "ends too early",
		"\x7fELF\x02\x01\x00\x00\x00":       "does not begin as xz does",
		stream[:11] + "\x37":                "checksum of its header",
		stream + "\x02\x03":                 "filter other than LZMA2",
		stream + "\x02\x00\x04\x01\x00":     "filter other than LZMA2", // x86
		stream + "\x02\x00\x21\x01\x29":     "filter other than LZMA2", // a dictionary of more than 4 GiB
		stream + "\x02\x00\x21\x01\x08\x01": "header of a block is wrong",
		stream + "\x01\xc0\x80\x00":         "number in it is wrong",
		stream + "\x02\x00\x21\x01\x08\x00\x00\x00\x00\x00\x00\x00": "checksum of its header of a block",
		stream + "\x00\x01": "index is wrong",
	} {
		if _, err := open(t, ".xz", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func TestSHA256(t *testing.T) {
	s := newSHA256()
	for _, n := range []int{0, 1, 3, 55, 56, 63, 64, 65, 119, 120, 1000} {
		b := sample(n)
		s.Reset()
		for i := 0; i < n; i += 7 {
			_, _ = s.Write(b[i:min(n, i+7)])
		}
		if got, want := s.Sum(nil), lib.Sum256(b); !bytes.Equal(got, want[:]) {
			t.Errorf("of %d bytes: %x, want %x", n, got, want)
		}
	}
}

func FuzzXZ(f *testing.F) {
	for _, plain := range samples() {
		if len(plain) > 5000 {
			continue
		}
		f.Add(packXZ(f, plain, xz.WriterConfig{NoCheckSum: true, BlockSize: 1000}))
		f.Add(packXZ(f, plain, xz.WriterConfig{CheckSum: xz.SHA256}))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		const most = 1 << 20
		r, err := Module(".xz", bytes.NewReader(packed))
		if err != nil {
			return
		}
		mine, err := io.ReadAll(io.LimitReader(r, most))
		if err != nil {
			return
		}
		x, err := xz.NewReader(bytes.NewReader(packed))
		if err != nil {
			return
		}
		theirs, err := io.ReadAll(io.LimitReader(x, most))
		if err == nil && !bytes.Equal(mine, theirs) {
			t.Errorf("%d bytes, and %d with the other", len(mine), len(theirs))
		}
	})
}

// FuzzLZMA2 reaches the chunks, which checksums hide from FuzzXZ.
func FuzzLZMA2(f *testing.F) {
	for _, plain := range samples() {
		if packed := packXZ(f, plain, xz.WriterConfig{NoCheckSum: true}); len(packed) < 5000 {
			f.Add(packed[24:])
		}
	}
	f.Fuzz(func(t *testing.T, chunks []byte) {
		x := newXZ(bytes.NewReader(chunks))
		x.size = 1 << 16
		x.inside, x.block = true, true
		x.lzma.fresh()
		_, _ = io.Copy(io.Discard, io.LimitReader(x, 1<<20))
		if len(x.data) > 8<<20 {
			t.Errorf("%d bytes are kept", len(x.data))
		}
	})
}
