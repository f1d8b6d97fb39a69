package unpack

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"strings"
	"testing"

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
	packed := bytes.Join([][]byte{
		packXZ(t, a, xz.WriterConfig{}), make([]byte, 8),
		packXZ(t, b, xz.WriterConfig{CheckSum: xz.SHA256}), make([]byte, 4),
	}, nil)
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
		damage(t, ".xz", packXZ(t, plain, xz.WriterConfig{CheckSum: check, DictCap: 1 << 16}), plain, 1)
	}
}

// blockHeader gives a header of a block (3.1 of the format), without its size, its padding and its checksum.
func blockHeader(b string) string {
	b = string(byte((len(b)+4)/4)) + b
	b += "\x00\x00\x00"[:-len(b)&3]
	return b + string(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(b))))
}

func TestXZErrors(t *testing.T) {
	const stream = "\xfd7zXZ\x00\x00\x01\x69\x22\xde\x36"
	for text, want := range map[string]string{
		"":         "ends too early",
		stream[:9]: "ends too early",
		stream:     "ends too early",
		"\x7fELF\x02\x01\x00\x00\x00\x00\x00\x00": "does not begin as xz does",
		stream[:11] + "\x37":                      "is damaged",
		// the checksum is that of another header
		stream[:7] + "\x02" + stream[8:]:                 "is damaged",
		"\xfd7zXZ\x00\x00\x02\xd3\x73\xd7\xaf":           "checksum of a type",
		stream + blockHeader("\x01\x0a\x00\x21\x01\x08"): "filter other than", // arm64
		stream + blockHeader("\x00\x04\x00"):             "filter other than", // x86 alone
		// a dictionary of more than 4 GiB
		stream + blockHeader("\x00\x21\x01\x29"):                    "filter other than",
		stream + blockHeader("\x00\x21\x01\x1d"):                    "more than 64 MiB", // of 96
		stream + blockHeader("\x00\x21\x01\x28"):                    "more than 64 MiB", // of 4 GiB
		stream + blockHeader("\x00\x21\x01\x1c"):                    "ends too early",   // of 64 MiB, and no chunk
		stream + blockHeader("\x00\x21\x01\x08") + "\x03":           "is damaged",
		stream + blockHeader("\xc0\x80\x00"):                        "is damaged", // a number
		stream + "\x02\x00\x21\x01\x08\x00\x00\x00\x00\x00\x00\x00": "is damaged",
		stream + "\x00\x00":                                         "ends too early",
		stream + "\x00\x01\x00\x00":                                 "is damaged", // the index has a block
	} {
		if _, err := open(t, ".xz", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func FuzzXZ(f *testing.F) {
	for _, plain := range samples() {
		if len(plain) > 5000 {
			continue
		}
		f.Add(packXZ(f, plain, xz.WriterConfig{NoCheckSum: true, BlockSize: 1000, DictCap: 1 << 16}))
		f.Add(packXZ(f, plain, xz.WriterConfig{CheckSum: xz.SHA256, DictCap: 1 << 16}))
	}
	f.Fuzz(func(t *testing.T, packed []byte) {
		const most = 1 << 20
		got, err := drain(t, ".xz", packed)
		if err != nil {
			return
		}
		x, err := xz.NewReader(bytes.NewReader(packed))
		if err != nil {
			return
		}
		other, err := io.ReadAll(io.LimitReader(x, most))
		if err == nil && !bytes.Equal(got, other) {
			t.Errorf("%d bytes, and %d with the other library", len(got), len(other))
		}
	})
}
