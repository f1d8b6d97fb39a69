package kernel

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"

	"github.com/nodisk/nodisk/build/buildtest"
)

func arm64Image(release string) []byte {
	data := make([]byte, 3<<20)
	copy(data[0x38:], "ARM\x64")
	copy(data[1000:], "Linux version %s (")
	copy(data[1<<20-5:], "Linux version "+release+" (builder@host)")
	return data
}

func gzipped(t testing.TB, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	if _, err := z.Write(data); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func zboot(payload []byte, compression string) []byte {
	head := make([]byte, 64)
	copy(head, "MZ\x00\x00zimg")
	binary.LittleEndian.PutUint32(head[8:], 64)
	binary.LittleEndian.PutUint32(head[12:], uint32(len(payload)))
	copy(head[24:], compression)
	return append(head, payload...)
}

// otherImage is a plain Image of an architecture by its magic.
func otherImage(release, magic string) []byte {
	data := arm64Image(release)
	copy(data, "MZ")
	copy(data[0x38:], magic)
	return data
}

// The kernel inside of a unified kernel image is unpacked.
func TestUnpackUnified(t *testing.T) {
	plain, err := Unpack(t.Context(),
		bytes.NewReader(buildtest.UnifiedKernel(t, map[string][]byte{".linux": zboot(gzipped(t, arm64Image("6.6.1")), "gzip")})))
	if err != nil || !bytes.Equal(plain, arm64Image("6.6.1")) {
		t.Errorf("unpacked: %d bytes, %v", len(plain), err)
	}
}

func TestParseKernel(t *testing.T) {
	unset := buildtest.BzImage("6.1.0")
	unset[0x20e], unset[0x20f] = 0, 0
	arm := arm64Image("6.6.1-arm")
	for name, tt := range map[string]struct {
		data []byte
		want Image
		err  string
	}{
		"bzImage":          {data: buildtest.BzImage("6.1.0-56-amd64"), want: Image{Release: "6.1.0-56-amd64", Arch: "amd64"}},
		"bzImage, unset":   {data: unset, err: "does not say its version"},
		"bzImage, rubbish": {data: buildtest.BzImage("../../etc"), err: "no version string"},
		"bzImage, cut off": {data: buildtest.BzImage("6.1.0")[:0x206], err: "cut off"},
		"arm64":            {data: arm, want: Image{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, gzip":      {data: gzipped(t, arm), want: Image{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zboot":     {data: zboot(gzipped(t, arm), "gzip"), want: Image{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zboot, xz": {
			data: zboot(buildtest.PackedBy(t, arm, "xz", "--check=crc32", "--arm64", "--lzma2"), "xzkern"),
			want: Image{Release: "6.6.1-arm", Arch: "arm64"},
		},
		"arm64, zboot, cut": {data: zboot(nil, "xzkern"), err: "cut off"},
		"arm64, no version": {data: arm[:4096], err: "uncompressed Image"},
		"vmlinux": {data: buildtest.ELFStub(buildtest.MachineAMD64, "Linux version 6.2.3 (x)"), want: Image{
			Release: "6.2.3",
			Arch:    "amd64",
		}},
		"vmlinux, gzip": {
			data: gzipped(t, buildtest.ELFStub(buildtest.MachineAMD64, "Linux version 6.2.3 (x)")),
			want: Image{Release: "6.2.3", Arch: "amd64"},
		},
		"arm64, xz": {
			data: buildtest.PackedBy(t, arm, "xz", "--check=crc32", "--arm64", "--lzma2"),
			want: Image{Release: "6.6.1-arm", Arch: "arm64"},
		},
		"arm64, zstd": {data: buildtest.PackedBy(t, arm, "zstd", "-q"), want: Image{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zboot, zstd": {data: zboot(buildtest.PackedBy(t, arm, "zstd", "-q"), "zstd"), want: Image{
			Release: "6.6.1-arm",
			Arch:    "arm64",
		}},
		"riscv64": {data: otherImage("6.6.1-risc", "RSC\x05"), want: Image{
			Release: "6.6.1-risc",
			Arch:    "riscv64",
		}},
		"riscv64, zboot": {
			data: zboot(gzipped(t, otherImage("6.6.1-risc", "RSC\x05")), "gzip"),
			want: Image{Release: "6.6.1-risc", Arch: "riscv64"},
		},
		"loong64, zboot": {
			data: zboot(gzipped(t, otherImage("6.6.1-loong", "\xcd\x23\x82\x81")), "gzip"),
			want: Image{Release: "6.6.1-loong", Arch: "loong64"},
		},
		"UKI": {
			data: buildtest.UnifiedKernel(t, map[string][]byte{
				".linux": buildtest.BzImage("6.1.0-56-amd64"), ".initrd": []byte("070701"),
				".cmdline": []byte("root=dhcp quiet\n\x00"), ".uname": []byte("6.1.0-56-amd64"),
			}),
			want: Image{Release: "6.1.0-56-amd64", Arch: "amd64", Unified: Unified{
				Is: true, Initrd: true,
				Cmdline: "root=dhcp quiet",
			}},
		},
		"UKI, zboot, no initrd": {
			data: buildtest.UnifiedKernel(t, map[string][]byte{".linux": zboot(gzipped(t, arm), "gzip")}),
			want: Image{Release: "6.6.1-arm", Arch: "arm64", Unified: Unified{Is: true}},
		},
		"EFI program": {
			data: buildtest.UnifiedKernel(t, map[string][]byte{".text": make([]byte, 100)}),
			err:  "an EFI program without a kernel in it",
		},
		"UKI in UKI": {
			data: buildtest.UnifiedKernel(t,
				map[string][]byte{".linux": buildtest.UnifiedKernel(t, map[string][]byte{".linux": buildtest.BzImage("6.1.0")})}),
			err: "its section .linux is an EFI program, not a kernel",
		},
		"UKI, cut": {
			data: buildtest.UnifiedKernel(t, map[string][]byte{".linux": buildtest.BzImage("6.1.0")})[:70],
			err:  "damaged, or cut off",
		},
		"FIT": {data: []byte("\xd0\x0d\xfe\xed0000"), err: "a flattened image tree (FIT) or device tree, " +
			"which nodisk does not read: give the kernel that is in it"},
		"uImage":    {data: []byte("\x27\x05\x19\x560000"), err: "a uImage of U-Boot"},
		"initramfs": {data: []byte("070701000000"), err: "an initramfs (cpio), not a kernel"},
		"text":      {data: []byte("#!/bin/sh\n"), err: "not a kernel"},
		"empty":     {err: "not a kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Parse(t.Context(), bytes.NewReader(tt.data))
			switch {
			case tt.err == "" && (err != nil || got != tt.want):
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v lacks %q", err, tt.err)
			}
		})
	}
}

func FuzzParseKernel(f *testing.F) {
	f.Add(buildtest.BzImage("6.1.0-1-amd64")[:2048])
	f.Add(append(arm64Image("6.6.1")[:2048], "Linux version 6.6.1 ("...))
	f.Add(zboot(gzipped(f, []byte("Linux version 6.6.1 (")), "gzip"))
	f.Add(buildtest.ELFStub(buildtest.MachineAMD64, "Linux version 6.2.3 (x)"))
	f.Add(buildtest.UnifiedKernel(f, map[string][]byte{".linux": buildtest.BzImage("6.1.0-1-amd64")[:2048], ".cmdline": []byte("quiet")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := Parse(t.Context(), bytes.NewReader(data))
		if err == nil && !PlausibleRelease(k.Release) {
			t.Errorf("release %q cannot name a directory", k.Release)
		}
	})
}
