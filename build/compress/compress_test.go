package compress

import (
	"bytes"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pierrec/lz4/v4"

	"github.com/nodisk/nodisk/build/buildtest"
)

// samples are data that are hard for a compressor in different ways.
func samples(t *testing.T) map[string][]byte {
	t.Helper()
	random := make([]byte, 3<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(random)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	return map[string][]byte{
		"one byte": {7}, "twelve": []byte("aaaaaaaaaaaa"), "thirteen": []byte("aaaaaaaaaaaaa"),
		"text":    []byte(strings.Repeat("nodisk boots. ", 99)),
		"zeroes":  make([]byte, LZ4LegacyBlock+12345),
		"random":  random,
		"program": program[:min(len(program), 4*lz4Segment+77)],
		"mixed":   append(append(random[:1<<20:1<<20], make([]byte, 1<<20)...), random[:1<<20]...),
	}
}

// What the reference tools unpack, the kernel does too: they share its code.
func TestCompressReference(t *testing.T) {
	commands := map[Compression][]string{
		LZ4: {"lz4", "-dc"}, Zstd: {"zstd", "-dcq"}, Gzip: {"gzip", "-dc"}, XZ: {"xz", "-dc"},
	}
	data := samples(t)
	const limit = 1 << 20
	for _, c := range Compressions() {
		if c == None {
			continue
		}
		t.Run(c.String(), func(t *testing.T) {
			program := buildtest.Tool(t, commands[c][0])
			for name, want := range data {
				if c != LZ4 && len(want) > limit {
					want = want[:limit]
				}
				var packed bytes.Buffer
				done := make(chan int, 1<<16)
				if err := Write(t.Context(), &packed, c, want, func(n int) { done <- n }); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				close(done)
				total := 0
				for n := range done {
					total += n
				}
				if total != len(want) {
					t.Errorf("%s: progress ends at %d of %d", name, total, len(want))
				}
				at := filepath.Join(t.TempDir(), "x")
				buildtest.Write(t, at, packed.Bytes())
				cmd := exec.CommandContext(t.Context(), program, append(commands[c][1:], at)...)
				if c != LZ4 { // by name they would want a suffix
					cmd = exec.CommandContext(t.Context(), program, commands[c][1:]...)
					cmd.Stdin = bytes.NewReader(packed.Bytes())
				}
				got, err := cmd.Output()
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %s unpacks %d bytes of %d, equal %v, %v", name, program, len(got), len(want),
						bytes.Equal(got, want), err)
				}
			}
		})
	}
}

// lib/decompress_unxz.c has no other integrity check than CRC32.
func TestXZChecksum(t *testing.T) {
	var packed bytes.Buffer
	if err := Write(t.Context(), &packed, XZ, []byte("x"), func(int) {}); err != nil {
		t.Fatal(err)
	}
	if flags := packed.Bytes()[6:8]; !bytes.Equal(flags, []byte{0, 1}) {
		t.Errorf("stream flags %x are not those of CRC32", flags)
	}
}

// The own encoder has to be better than the library's, and than the program's usual best, or it has no place.
func TestLZ4IsSmaller(t *testing.T) {
	ours := func(data []byte) int {
		var out bytes.Buffer
		if err := Write(t.Context(), &out, LZ4, data, func(int) {}); err != nil {
			t.Fatal(err)
		}
		return out.Len()
	}
	program := samples(t)["program"]
	var library bytes.Buffer
	z := lz4.NewWriter(&library)
	if err := z.Apply(lz4.LegacyOption(true), lz4.CompressionLevelOption(lz4.Level9)); err != nil {
		t.Fatal(err)
	}
	if _, err := z.Write(program); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if n := ours(program); n > library.Len()*97/100 {
		t.Errorf("%d bytes, the library makes %d", n, library.Len())
	}

	var modules []byte
	seen := 0
	err := filepath.WalkDir(filepath.Join(buildtest.KernelDir(t), "lib", "modules"),
		func(at string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(at) != ".ko" {
				return err
			}
			if seen++; seen%40 != 0 {
				return nil
			}
			data, err := os.ReadFile(at)
			modules = append(modules, data...)
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	if n, reference := ours(modules), len(buildtest.PackedBy(t, modules, "lz4", "-9", "-l", "-c")); n >= reference {
		t.Errorf("%d bytes of modules become %d, lz4 -9 makes %d", len(modules), n, reference)
	}
}

func FuzzLZ4(f *testing.F) {
	for _, seed := range []string{
		"", "a", "aaaaaaaaaaaaaaaaaaaaaaaa", "abcdabcdabcdabcdabcdxabcd",
		strings.Repeat("0123456789abcdef", 40),
	} {
		f.Add([]byte(seed), uint16(3))
	}
	f.Fuzz(func(t *testing.T, data []byte, repeat uint16) {
		data = bytes.Repeat(data, int(repeat%64)+1)
		if len(data) > 1<<20 {
			return
		}
		block, err := lz4Block(t.Context(), data, func(int) {})
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, len(data))
		n, err := lz4.UncompressBlock(block, got)
		if err != nil || !bytes.Equal(got[:n], data) {
			t.Fatalf("%d bytes come back as %d: %v", len(data), n, err)
		}
	})
}
