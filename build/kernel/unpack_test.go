package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/cpiotest"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// withPayload makes a buildtest.BzImage around a packed kernel; the size of the plain one
// follows it unless it is in gzip.
func withPayload(release string, payload []byte, plain int) []byte {
	data := buildtest.BzImage(release)
	if !bytes.HasPrefix(payload, []byte("\x1f\x8b")) {
		payload = binary.LittleEndian.AppendUint32(bytes.Clone(payload), uint32(plain))
	}
	le := binary.LittleEndian
	le.PutUint32(data[0x248:], 100)
	le.PutUint32(data[0x24c:], uint32(len(payload)))
	return append(append(data[:4096:4096], make([]byte, 100)...), payload...)
}

// A patience is a context that ends when it has been asked so often whether it has.
type patience struct {
	context.Context //nolint:containedctx // it is one
	asked, end      int
}

func (p *patience) Err() error {
	if p.asked++; p.asked > p.end {
		return context.Canceled
	}
	return nil
}

// Whoever reads a kernel heeds the end of its context, also in the middle of unpacking it.
func TestKernelHeeds(t *testing.T) {
	const size = 32 << 20
	plain := append(buildtest.ELFStub(buildtest.MachineAMD64, "nothing"), make([]byte, size)...)
	dir := t.TempDir()
	read := map[string]func(ctx context.Context, file string) error{
		"facts": func(ctx context.Context, file string) error {
			_, _, err := Source{File: file, Release: "6.2.3"}.Facts(ctx)
			return err
		},
		"open": func(ctx context.Context, file string) error {
			_, err := Open(ctx, file)
			return err
		},
	}
	for name, args := range map[string][]string{
		"gzip": {"-n", "-1"}, "bzip2": {"-1"}, "zstd": {"-1"}, "lz4": {"-l", "-1", "-"}, "lzma": {"-0"},
		"xz": {"--check=crc32", "-0"},
	} {
		program := name
		if name == "lzma" {
			program, args = "xz", []string{"--format=lzma", "-0"}
		}
		packed := buildtest.PackedBy(t, plain, program, args...)
		whole, inside := filepath.Join(dir, "Image."+name), filepath.Join(dir, "bzImage."+name)
		buildtest.Write(t, whole, append(packed, "\x00\x00\x00\x04"...))
		buildtest.Write(t, inside, withPayload("6.2.3", packed, len(plain)))
		for what, file := range map[string]string{"open": whole, "facts": inside} {
			p := &patience{Context: t.Context(), end: 20}
			err := read[what](p, file)
			if !errors.Is(err, context.Canceled) || p.asked > p.end+5 {
				t.Errorf("%s, %s: error %v after it was asked %d times, want the end after %d",
					name, what, err, p.asked, p.end)
			}
		}
	}
}

// Every compression that kernels have, packed as the kernel's Makefile does.
func TestUnpackKernel(t *testing.T) {
	plain := append(buildtest.ELFStub(buildtest.MachineAMD64, "Linux version 6.2.3 (x)"), buildtest.Branchy(100_000)...)
	for name, args := range map[string][]string{
		"gzip": {"-n", "-9"}, "bzip2": {"-9"}, "zstd": {"-22", "--ultra"}, "lz4": {"-l", "-9", "-"},
		"lzma": {"-9"}, "xz": {"--check=crc32", "--x86", "--lzma2=,dict=32MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			program := name
			if name == "lzma" {
				program, args = "xz", []string{"--format=lzma", "-9"}
			}
			packed := buildtest.PackedBy(t, plain, program, args...)
			got, err := unpackKernel(t.Context(), bytes.NewReader(withPayload("6.2.3", packed, len(plain))), kernelMax)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%d bytes, %v; want the %d that were packed", len(got), err, len(plain))
			}
			if _, err := unpackKernel(t.Context(), bytes.NewReader(withPayload("6.2.3", packed, len(plain))),
				50_000); err == nil {
				t.Error("the limit does not count")
			}
			if _, err := unpackKernel(t.Context(), bytes.NewReader(withPayload("6.2.3",
				packed[:len(packed)/2], len(plain))), kernelMax); err == nil {
				t.Error("half of it is good enough")
			}
		})
	}
}

// The filters of xz against those of the reference program.
func TestXZFilters(t *testing.T) {
	for _, filter := range []string{"--x86", "--arm64", "--sparc"} {
		for _, size := range []int{1, 4, 5, 7, 1000, 70_001} {
			plain := buildtest.Branchy(size)
			got, err := unpackXZKernel(t.Context(), buildtest.PackedBy(t, plain, "xz", "--check=crc32", filter, "--lzma2"),
				kernelMax)
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%s, %d bytes: got %d, %v", filter, size, len(got), err)
			}
		}
	}
	// As kernels from 6.12 on are packed.
	plain := buildtest.Branchy(70_001)
	for _, filter := range []string{"--x86", "--arm64"} {
		got, err := unpackXZKernel(t.Context(), buildtest.PackedBy(t, plain, "xz", "--check=crc32",
			filter, "--lzma2=dict=128MiB"), kernelMax)
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%s, dictionary of 128 MiB: got %d bytes, %v", filter, len(got), err)
		}
	}
	packed := buildtest.PackedBy(t, buildtest.Branchy(100), "xz", "--check=crc32", "--sparc", "--lzma2")
	header := packed[12 : 12+4*(int(packed[12])+1)]
	header[2] = 0x0b // RISC-V
	binary.LittleEndian.PutUint32(header[len(header)-4:], crc32.ChecksumIEEE(header[:len(header)-4]))
	if _, err := unpackXZKernel(t.Context(), packed, kernelMax); err == nil ||
		!strings.Contains(err.Error(), "filter 0xb") {
		t.Errorf("another filter: %v", err)
	}
	packed = buildtest.PackedBy(t, plain, "xz", "--check=crc32", "--arm64", "--lzma2")
	packed[len(packed)/2] ^= 1
	if _, err := unpackXZKernel(t.Context(), packed, kernelMax); err == nil {
		t.Error("a bit changed, and nobody says so")
	}
}

func TestUnpackKernelErrors(t *testing.T) {
	cut := buildtest.BzImage("6.2.3")
	binary.LittleEndian.PutUint32(cut[0x24c:], 1<<20)
	for name, tt := range map[string]struct {
		data []byte
		want string
	}{
		"lzo":     {withPayload("6.2.3", []byte("\x89LZO\x00\r\n\x1a\n"), 9), "--symvers"},
		"unknown": {withPayload("6.2.3", []byte("hello"), 5), "not known here"},
		"cut off": {cut, "cut off"},
		"xz": {
			withPayload("6.2.3", []byte(xzKernelMagic+"\x00\x01\x00\x00\x00\x00\x02\x01\x00\x00"), 5),
			"damaged",
		},
		"lzma": {withPayload("6.2.3", []byte("\x5d\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff"), 5), "(lzma)"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := unpackKernel(t.Context(), bytes.NewReader(tt.data), kernelMax); err == nil ||
				!strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v lacks %q", err, tt.want)
			}
		})
	}
}

// What a kernel tells when it is unpacked.
func TestKernelFacts(t *testing.T) {
	const magic = "6.2.3-x SMP preempt mod_unload modversions "
	exports := []ko.Symbol{
		{Name: "module_layout", CRC: 1, HasCRC: true},
		{Name: "printk", CRC: 2, HasCRC: true},
		{Name: "register", CRC: 3, HasCRC: true, GPL: true},
	}
	config := "IKCFG_ST" + string(gzipped(t, []byte("CONFIG_MODULE_SIG_FORCE=y\n"))) + "IKCFG_ED"
	text := "Linux version 6.2.3-x (a@b) #1\x006.2.3-x (a@b) #1\x00" + magic + "\x00" + config
	plain := kotest.Kernel{Exports: exports, Text: []byte(text)}.Bytes()
	file := filepath.Join(t.TempDir(), "vmlinuz")
	buildtest.Write(t, file, withPayload("6.2.3-x", buildtest.PackedBy(t, plain, "xz", "--check=crc32", "--x86", "--lzma2"), len(plain)))
	got, notes, err := Source{File: file}.Facts(t.Context())
	want := abi.Kernel{
		Release: "6.2.3-x", Arch: "amd64", Vermagic: magic, Exports: exports, ExportsFrom: file,
		Config: abi.Kconfig{"CONFIG_MODULE_SIG_FORCE": "y"},
	}
	if diff := cmp.Diff(want, got); diff != "" || notes != nil || err != nil {
		t.Errorf("%v, %v (-want +got):\n%s", notes, err, diff)
	}

	// A config beside the kernel, and a Module.symvers that is asked for.
	buildtest.Write(t, filepath.Join(filepath.Dir(file), "config"), []byte("CONFIG_MODVERSIONS=y\n"))
	symvers := filepath.Join(t.TempDir(), "Module.symvers")
	buildtest.Write(t, symvers, []byte("0x00000009\tprintk\tvmlinux\tEXPORT_SYMBOL\t\n"+
		"0x00000001\text4_x\tfs/ext4/ext4\tEXPORT_SYMBOL_GPL\t\n"))
	got, _, err = Source{File: file, Symvers: symvers}.Facts(t.Context())
	want.Config = abi.Kconfig{"CONFIG_MODVERSIONS": "y"}
	want.Exports, want.ExportsFrom = []ko.Symbol{{Name: "printk", CRC: 9, HasCRC: true, From: "vmlinux"}}, symvers
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func FuzzUnpackKernel(f *testing.F) {
	plain := buildtest.ELFStub(buildtest.MachineAMD64, "Linux version 6.2.3 (x)")
	f.Add(withPayload("6.2.3", gzipped(f, plain), len(plain)))
	f.Add(zboot(gzipped(f, plain), "gzip"))
	for _, c := range []compress.Compression{compress.LZ4, compress.Zstd, compress.XZ} {
		f.Add(withPayload("6.2.3", cpiotest.Packed(f, c, plain), len(plain)))
	}
	if _, err := exec.LookPath("xz"); err == nil {
		f.Add(buildtest.PackedBy(f, buildtest.Branchy(500), "xz", "--check=crc32", "--x86", "--lzma2"))
		f.Add(buildtest.PackedBy(f, buildtest.Branchy(500), "xz", "--check=crc32", "--arm64", "--lzma2"))
		f.Add(buildtest.PackedBy(f, buildtest.Branchy(500), "xz", "--format=lzma"))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		const limit = 4 << 20
		out, err := unpackKernel(t.Context(), bytes.NewReader(data), limit)
		if err != nil {
			return
		}
		if len(out) > limit && len(out) != len(data) {
			t.Errorf("%d bytes are more than the limit", len(out))
		}
		if v := findVermagic(out, "6.2.3"); v != "" && !strings.HasPrefix(v, "6.2.3 ") {
			t.Errorf("vermagic %q", v)
		}
		_, _ = embeddedConfig(out)
	})
}
