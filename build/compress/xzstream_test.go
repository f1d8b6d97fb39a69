package compress

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/nodisk/nodisk/build/buildtest"
)

// Of a stream and what follows it, the stream is read, whole and alone.
func TestXZStream(t *testing.T) {
	plain := buildtest.Branchy(200_000)
	for _, args := range [][]string{
		{"--check=none"},
		{"--check=crc32", "--x86", "--lzma2"},
		{"--check=crc64", "--block-size=777"},
		{"--check=sha256", "-0"},
	} {
		for _, size := range []int{0, 1, 2, 3, 4, 1000, len(plain)} {
			packed := buildtest.PackedBy(t, plain[:size], "xz", args...)
			in := bufio.NewReaderSize(strings.NewReader(string(packed)+"\x00YZ and more"), 16)
			got, err := io.ReadAll(iotest.OneByteReader(NewXZStream(in)))
			rest, _ := io.ReadAll(in)
			if err != nil || !bytes.Equal(got, packed) || string(rest) != "\x00YZ and more" {
				t.Errorf("%v, %d bytes: got %d of %d, %v, and %q is left", args, size, len(got), len(packed), err, rest)
			}
		}
	}
}

// One that is cut off is read to its end, and one that cannot be read is not taken for that.
func TestXZStreamCut(t *testing.T) {
	packed := buildtest.PackedBy(t, buildtest.Branchy(3000), "xz", "--block-size=1000")
	broken := errors.New("broken")
	for n := range packed {
		got, err := io.ReadAll(NewXZStream(bufio.NewReader(bytes.NewReader(packed[:n]))))
		if err != nil || !bytes.Equal(got, packed[:n]) {
			t.Errorf("%d bytes: got %d, %v", n, len(got), err)
		}
		failing := io.MultiReader(bytes.NewReader(packed[:n]), iotest.ErrReader(broken))
		if _, err := io.ReadAll(NewXZStream(bufio.NewReader(failing))); !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

// Whatever it is, what is read is what is there, as far as it goes.
func FuzzXZStream(f *testing.F) {
	f.Add(buildtest.PackedBy(f, []byte("hello hello hello"), "xz", "--check=crc32"))
	f.Add(buildtest.PackedBy(f, nil, "xz", "--check=crc32"))
	f.Fuzz(func(t *testing.T, data []byte) {
		in := bufio.NewReader(bytes.NewReader(data))
		got, err := io.ReadAll(NewXZStream(in))
		rest, _ := io.ReadAll(in)
		if err != nil || !bytes.Equal(append(got, rest...), data) {
			t.Errorf("%d bytes and %d left of %d, %v", len(got), len(rest), len(data), err)
		}
	})
}
