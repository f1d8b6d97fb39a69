package build

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// bzImage makes the header of a 64-bit bzImage.
func bzImage(release string) []byte {
	data := make([]byte, 4096)
	data[0x1f1] = 7
	copy(data[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(data[0x206:], 0x20f)
	binary.LittleEndian.PutUint16(data[0x20e:], 0x400)
	binary.LittleEndian.PutUint16(data[0x236:], 1)
	copy(data[0x600:], release+" (builder@host) #1 SMP\x00")
	return data
}

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

// unified makes a unified kernel image: a PE file for EFI of the sections that are given, without anything else.
func unified(t testing.TB, sections map[string][]byte) []byte {
	t.Helper()
	const peAt, headerEnd = 0x80, 0x400
	le := binary.LittleEndian
	data := make([]byte, headerEnd)
	copy(data, "MZ")
	le.PutUint32(data[0x3c:], peAt)
	copy(data[peAt:], "PE\x00\x00")
	le.PutUint16(data[peAt+4:], pe.IMAGE_FILE_MACHINE_AMD64)
	le.PutUint16(data[peAt+6:], uint16(len(sections)))
	le.PutUint16(data[peAt+20:], 0) // no optional header: nothing here reads one
	at := peAt + 24
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		body := sections[name]
		copy(data[at:at+8], name)
		le.PutUint32(data[at+8:], uint32(len(body)))
		le.PutUint32(data[at+16:], uint32((len(body)+511)&^511))
		le.PutUint32(data[at+20:], uint32(len(data)))
		at += 40
		data = append(data, body...)
		data = append(data, make([]byte, -len(data)&511)...)
	}
	return data
}

// What a unified kernel image brings is told by build and check.
func TestUnifiedKernel(t *testing.T) {
	root := testTree(t)
	file := filepath.Join(t.TempDir(), "node.efi")
	write(t, file, unified(t, map[string][]byte{".linux": bzImage(testRelease), ".initrd": []byte("070701"),
		".cmdline": []byte("quiet\x1b[2J")}))
	s := testSpec(t, root)
	s.Kernel = file
	r, err := Image(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	const want = "a unified kernel image: it brings an initramfs of its own, which systemd-stub hands to the kernel " +
		"before any other, and a command line of its own (quiet\\x1b[2J)"
	if !strings.Contains(strings.Join(r.Warnings, "\n"), want) {
		t.Errorf("warnings %q", r.Warnings)
	}
	reports, err := Check(t.Context(), CheckSpec{Kernel: file, Modules: root})
	if err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	if err := reports[0].WriteText(&told, 0, 0); err != nil || !strings.Contains(told.String(), want) {
		t.Errorf("check: %v\n%s", err, told.String())
	}
}

// The kernel inside of a unified kernel image is unpacked.
func TestUnpackUnified(t *testing.T) {
	plain, err := UnpackKernel(t.Context(), bytes.NewReader(unified(t, map[string][]byte{".linux": zboot(gzipped(t, arm64Image("6.6.1")), "gzip")})))
	if err != nil || !bytes.Equal(plain, arm64Image("6.6.1")) {
		t.Errorf("unpacked: %d bytes, %v", len(plain), err)
	}
}

func TestParseKernel(t *testing.T) {
	unset := bzImage("6.1.0")
	unset[0x20e], unset[0x20f] = 0, 0
	arm := arm64Image("6.6.1-arm")
	for name, tt := range map[string]struct {
		data []byte
		want Kernel
		err  string
	}{
		"bzImage":          {data: bzImage("6.1.0-56-amd64"), want: Kernel{Release: "6.1.0-56-amd64", Arch: "amd64"}},
		"bzImage, unset":   {data: unset, err: "does not say its version"},
		"bzImage, rubbish": {data: bzImage("../../etc"), err: "no version string"},
		"bzImage, cut off": {data: bzImage("6.1.0")[:0x206], err: "cut off"},
		"arm64":            {data: arm, want: Kernel{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, gzip":      {data: gzipped(t, arm), want: Kernel{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zboot":     {data: zboot(gzipped(t, arm), "gzip"), want: Kernel{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zboot, xz": {data: zboot(packedBy(t, arm, "xz", "--check=crc32", "--arm64", "--lzma2"), "xzkern"),
			want: Kernel{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zboot, cut": {data: zboot(nil, "xzkern"), err: "cut off"},
		"arm64, no version": {data: arm[:4096], err: "uncompressed Image"},
		"vmlinux": {data: elfStub(machineAMD64, "Linux version 6.2.3 (x)"), want: Kernel{Release: "6.2.3",
			Arch: "amd64"}},
		"vmlinux, gzip": {data: gzipped(t, elfStub(machineAMD64, "Linux version 6.2.3 (x)")),
			want: Kernel{Release: "6.2.3", Arch: "amd64"}},
		"arm64, xz": {data: packedBy(t, arm, "xz", "--check=crc32", "--arm64", "--lzma2"),
			want: Kernel{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zstd": {data: packedBy(t, arm, "zstd", "-q"), want: Kernel{Release: "6.6.1-arm", Arch: "arm64"}},
		"arm64, zboot, zstd": {data: zboot(packedBy(t, arm, "zstd", "-q"), "zstd"), want: Kernel{Release: "6.6.1-arm",
			Arch: "arm64"}},
		"riscv64": {data: otherImage("6.6.1-risc", "RSC\x05"), want: Kernel{Release: "6.6.1-risc",
			Arch: "riscv64"}},
		"riscv64, zboot": {data: zboot(gzipped(t, otherImage("6.6.1-risc", "RSC\x05")), "gzip"),
			want: Kernel{Release: "6.6.1-risc", Arch: "riscv64"}},
		"loong64, zboot": {data: zboot(gzipped(t, otherImage("6.6.1-loong", "\xcd\x23\x82\x81")), "gzip"),
			want: Kernel{Release: "6.6.1-loong", Arch: "loong64"}},
		"UKI": {
			data: unified(t, map[string][]byte{".linux": bzImage("6.1.0-56-amd64"), ".initrd": []byte("070701"),
				".cmdline": []byte("root=dhcp quiet\n\x00"), ".uname": []byte("6.1.0-56-amd64")}),
			want: Kernel{Release: "6.1.0-56-amd64", Arch: "amd64", Unified: Unified{Is: true, Initrd: true,
				Cmdline: "root=dhcp quiet"}},
		},
		"UKI, zboot, no initrd": {
			data: unified(t, map[string][]byte{".linux": zboot(gzipped(t, arm), "gzip")}),
			want: Kernel{Release: "6.6.1-arm", Arch: "arm64", Unified: Unified{Is: true}},
		},
		"EFI program": {data: unified(t, map[string][]byte{".text": make([]byte, 100)}),
			err: "an EFI program without a kernel in it"},
		"UKI in UKI": {data: unified(t,
			map[string][]byte{".linux": unified(t, map[string][]byte{".linux": bzImage("6.1.0")})}),
			err: "its section .linux is an EFI program, not a kernel"},
		"UKI, cut": {data: unified(t, map[string][]byte{".linux": bzImage("6.1.0")})[:70],
			err: "damaged, or cut off"},
		"FIT": {data: []byte("\xd0\x0d\xfe\xed0000"), err: "a flattened image tree (FIT) or device tree, " +
			"which nodisk does not read: give the kernel that is in it"},
		"uImage":    {data: []byte("\x27\x05\x19\x560000"), err: "a uImage of U-Boot"},
		"initramfs": {data: []byte("070701000000"), err: "an initramfs (cpio), not a kernel"},
		"text":      {data: []byte("#!/bin/sh\n"), err: "not a kernel"},
		"empty":     {err: "not a kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseKernel(t.Context(), bytes.NewReader(tt.data))
			switch {
			case tt.err == "" && (err != nil || got != tt.want):
				t.Errorf("got %+v, %v; want %+v", got, err, tt.want)
			case tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)):
				t.Errorf("error %v lacks %q", err, tt.err)
			}
		})
	}
}

func TestOpenDistributionKernel(t *testing.T) {
	dir := kernelDir(t)
	k, err := OpenKernel(t.Context(), filepath.Join(dir, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := findTree(dir, k.Release); err != nil {
		t.Errorf("%+v: %v", k, err)
	}
}

func FuzzParseKernel(f *testing.F) {
	f.Add(bzImage("6.1.0-1-amd64")[:2048])
	f.Add(append(arm64Image("6.6.1")[:2048], "Linux version 6.6.1 ("...))
	f.Add(zboot(gzipped(f, []byte("Linux version 6.6.1 (")), "gzip"))
	f.Add(elfStub(machineAMD64, "Linux version 6.2.3 (x)"))
	f.Add(unified(f, map[string][]byte{".linux": bzImage("6.1.0-1-amd64")[:2048], ".cmdline": []byte("quiet")}))
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKernel(t.Context(), bytes.NewReader(data))
		if err == nil && !plausible(k.Release) {
			t.Errorf("release %q cannot name a directory", k.Release)
		}
	})
}
