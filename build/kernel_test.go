package build

import (
	"bytes"
	"encoding/binary"
	"path/filepath"
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

func TestParseKernel(t *testing.T) {
	unset := bzImage("6.1.0")
	unset[0x20e], unset[0x20f] = 0, 0
	arm := arm64Image("6.6.1-arm")
	for name, tt := range map[string]struct {
		data []byte
		want Kernel
		err  string
	}{
		"bzImage":           {data: bzImage("6.1.0-56-amd64"), want: Kernel{"6.1.0-56-amd64", "amd64"}},
		"bzImage, unset":    {data: unset, err: "does not say its version"},
		"bzImage, rubbish":  {data: bzImage("../../etc"), err: "no version string"},
		"bzImage, cut off":  {data: bzImage("6.1.0")[:0x206], err: "cut off"},
		"arm64":             {data: arm, want: Kernel{"6.6.1-arm", "arm64"}},
		"arm64, gzip":       {data: gzipped(t, arm), want: Kernel{"6.6.1-arm", "arm64"}},
		"arm64, zboot":      {data: zboot(gzipped(t, arm), "gzip"), want: Kernel{"6.6.1-arm", "arm64"}},
		"arm64, zboot, xz":  {data: zboot(packedBy(t, arm, "xz", "--check=crc32", "--arm64", "--lzma2"), "xzkern"), want: Kernel{"6.6.1-arm", "arm64"}},
		"arm64, zboot, cut": {data: zboot(nil, "xzkern"), err: "cut off"},
		"arm64, no version": {data: arm[:4096], err: "uncompressed Image"},
		"vmlinux":           {data: elfStub(machineAMD64, "Linux version 6.2.3 (x)"), want: Kernel{"6.2.3", "amd64"}},
		"text":              {data: []byte("#!/bin/sh\n"), err: "not a kernel"},
		"empty":             {err: "not a kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseKernel(bytes.NewReader(tt.data))
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
	k, err := OpenKernel(filepath.Join(dir, "vmlinuz"))
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
	f.Fuzz(func(t *testing.T, data []byte) {
		k, err := ParseKernel(bytes.NewReader(data))
		if err == nil && !plausible(k.Release) {
			t.Errorf("release %q cannot name a folder", k.Release)
		}
	})
}
