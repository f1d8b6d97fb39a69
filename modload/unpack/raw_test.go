package unpack_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/ulikunitz/xz/lzma"

	"github.com/nodisk/nodisk/modload/unpack"
)

func chunks(t testing.TB, plain []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z, err := lzma.Writer2Config{DictCap: 1 << 16}.NewWriter2(&out)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(plain); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestLZMA2(t *testing.T) {
	plain := bytes.Repeat([]byte("some text, and again some text; "), 3000)
	packed := chunks(t, plain)
	got, err := io.ReadAll(unpack.LZMA2(bytes.NewReader(append(packed, "what follows"...)), 8))
	if err != nil || !bytes.Equal(got, plain) {
		t.Errorf("%d bytes, %v; want %d", len(got), err, len(plain))
	}
	if _, err := io.ReadAll(unpack.LZMA2(bytes.NewReader(packed[:len(packed)/2]), 8)); err == nil {
		t.Error("half of it is good enough")
	}
}

// What the library takes we take, to the same bytes.
func FuzzRawLZMA2(f *testing.F) {
	f.Add(chunks(f, []byte("hello hello hello")))
	f.Add(chunks(f, bytes.Repeat([]byte{1, 2, 3}, 500)))
	f.Fuzz(func(t *testing.T, data []byte) {
		const most = 1 << 20
		got, err := io.ReadAll(io.LimitReader(unpack.LZMA2(bytes.NewReader(data), 8), most))
		if err != nil {
			return
		}
		z, err := lzma.Reader2Config{DictCap: 1 << 16}.NewReader2(bytes.NewReader(data))
		if err != nil {
			return
		}
		want, err := io.ReadAll(io.LimitReader(z, most))
		if err == nil && !bytes.Equal(got, want) {
			t.Errorf("%d bytes, the library has %d", len(got), len(want))
		}
	})
}
