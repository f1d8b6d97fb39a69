package kernel

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/magic"
)

// An Image is what its file says about a kernel.
type Image struct {
	Release string // as uname -r prints it: "6.1.0-56-amd64"
	Arch    string // as GOARCH spells it, empty if not known
	// Unified is what a unified kernel image brings besides the kernel; zero for a kernel alone.
	Unified Unified
}

// kernelMax bounds how much of a kernel is searched or unpacked.
const kernelMax = 256 << 20

// Open reads release and architecture from a kernel's file.
func Open(ctx context.Context, path string) (Image, error) {
	f, err := infile.Regular(path)
	if err != nil {
		return Image{}, fmt.Errorf("read kernel: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	k, err := Parse(ctx, f)
	if err != nil {
		return Image{}, fmt.Errorf("read kernel %s: %w", path, err)
	}
	return k, nil
}

// Parse finds release and architecture in a kernel image: a buildtest.BzImage of
// x86, an Image of arm64, riscv64 or loong64, or an ELF vmlinux, plain or compressed, alone or as an EFI
// zboot file; or a unified kernel image (UKI) with one of these. The end of ctx ends it.
func Parse(ctx context.Context, r io.ReaderAt) (Image, error) {
	head := make([]byte, 0x268)
	n, err := r.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Image{}, err
	}
	head = head[:n]
	whole := infile.Heed(ctx, io.NewSectionReader(r, 0, kernelMax))
	switch {
	case magic.At(head, 0x202, "HdrS"):
		return parseBzImage(r, head)
	case imageArch(head) != "":
		return searchKernel(whole, imageArch(head))
	case magic.At(head, 4, "zimg"):
		return parseZboot(ctx, r)
	case magic.At(head, 0, "\x1f\x8b"):
		z, err := gzip.NewReader(whole)
		if err != nil {
			return Image{}, fmt.Errorf("unpack gzip: %w", err)
		}
		return searchKernel(io.LimitReader(z, kernelMax), "")
	case magic.At(head, 0, "\x7fELF"):
		return searchKernel(whole, magic.ELFArch(head))
	case isPE(head):
		return parseUnified(ctx, r)
	}
	if kind := otherKernel(head); kind != "" {
		return Image{}, fmt.Errorf("it is %s, which nodisk does not read: give the kernel that is in it, as "+
			"bzImage, Image or vmlinux", kind)
	}
	if !isCompressed(head) {
		return Image{}, errors.New("not a kernel that is known here: neither bzImage (x86), nor Image (arm64, " +
			"riscv64, loong64, also compressed or zboot), nor ELF vmlinux, nor unified kernel image")
	}
	return parseZboot(ctx, r)
}

// imageArch is the architecture by the head of a plain Image, which is the same for all that have
// one (Documentation/arch/arm64/booting.rst, arch/riscv/boot-image-header.rst; LINUX_PE_MAGIC of loongarch's
// head.S in include/linux/pe.h); empty for another file.
func imageArch(head []byte) string {
	switch {
	case magic.At(head, 0x38, "ARM\x64"):
		return "arm64"
	case magic.At(head, 0x38, "RSC\x05"):
		return "riscv64"
	case magic.At(head, 0x38, "\xcd\x23\x82\x81") && magic.At(head, 0, "MZ") && !magic.At(head, 4, "zimg"):
		return "loong64"
	}
	return ""
}

// otherKernel names formats of other boot loaders.
func otherKernel(head []byte) string {
	switch {
	case magic.At(head, 0, "\xd0\x0d\xfe\xed"):
		return "a flattened image tree (FIT) or device tree"
	case magic.At(head, 0, "\x27\x05\x19\x56"):
		return "a uImage of U-Boot"
	case magic.At(head, 0, "ANDROID!"):
		return "a boot image of Android"
	case magic.At(head, 0, "070701"), magic.At(head, 0, "070702"):
		return "an initramfs (cpio), not a kernel"
	}
	return ""
}

// parseBzImage reads the header of Documentation/arch/x86/boot.rst.
func parseBzImage(r io.ReaderAt, head []byte) (Image, error) {
	const (
		setupSects    = 0x1f1
		protocol      = 0x206
		kernelVersion = 0x20e // offset of the string, less 0x200
		xloadflags    = 0x236
	)
	k := Image{Arch: "386"}
	le := binary.LittleEndian
	if len(head) < kernelVersion+2 {
		return Image{}, errors.New("the bzImage is cut off in its header")
	}
	version := le.Uint16(head[protocol:])
	if version >= 0x20c && len(head) >= xloadflags+2 && le.Uint16(head[xloadflags:])&1 != 0 {
		k.Arch = "amd64" // XLF_KERNEL_64
	}
	sectors := int(head[setupSects])
	if sectors == 0 {
		sectors = 4
	}
	offset := int(le.Uint16(head[kernelVersion:]))
	if version < 0x200 || offset == 0 || offset >= sectors*512 {
		return Image{}, errors.New("the bzImage does not say its version (kernel_version in its header is empty)")
	}
	buf := make([]byte, 256)
	n, err := r.ReadAt(buf, int64(offset)+0x200)
	if err != nil && !errors.Is(err, io.EOF) {
		return Image{}, err
	}
	text, _, ended := bytes.Cut(buf[:n], []byte{0})
	k.Release, _, _ = strings.Cut(string(text), " ")
	if !ended || !PlausibleRelease(k.Release) {
		return Image{}, fmt.Errorf("the bzImage has no version string at %#x, where its header points", offset+0x200)
	}
	return k, nil
}

// parseZboot reads an EFI zboot file, or a kernel that is compressed as a whole.
func parseZboot(ctx context.Context, r io.ReaderAt) (Image, error) {
	plain, err := unpackKernel(ctx, r, kernelMax)
	if err != nil {
		return Image{}, err
	}
	return searchKernel(bytes.NewReader(plain), "")
}

// searchKernel looks for the banner (linux_banner in init/version.c) that
// every uncompressed kernel has.
func searchKernel(r io.Reader, arch string) (Image, error) {
	const banner, longest = "Linux version ", 256
	buf := make([]byte, 0, 1<<20)
	for first := true; ; first = false {
		n, err := io.ReadFull(r, buf[len(buf):cap(buf)])
		buf = buf[:len(buf)+n]
		switch {
		case !first || arch != "":
		case magic.At(buf, 0, "\x7fELF"):
			arch = magic.ELFArch(buf)
		default:
			arch = imageArch(buf)
		}
		for from := 0; ; {
			i := bytes.Index(buf[from:], []byte(banner))
			if i < 0 {
				break
			}
			from += i + len(banner)
			text, _, ok := bytes.Cut(buf[from:min(len(buf), from+longest)], []byte{' '})
			if ok && PlausibleRelease(string(text)) {
				return Image{Release: string(text), Arch: arch}, nil
			}
		}
		if err != nil {
			if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
				return Image{}, errors.New(
					`no "Linux version" in it; if it is compressed, give the uncompressed Image`)
			}
			return Image{}, fmt.Errorf("unpack kernel: %w", err)
		}
		// The banner may lie across two pieces.
		buf = buf[:copy(buf, buf[len(buf)-longest:])]
	}
}

// PlausibleRelease tells a release ("6.1.0-56-amd64") from other text: it becomes
// the name of a directory.
func PlausibleRelease(release string) bool {
	if release == "" || release[0] < '0' || release[0] > '9' || !strings.Contains(release, ".") ||
		strings.Contains(release, "..") {
		return false
	}
	for _, c := range []byte(release) {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', strings.IndexByte(".-+_~", c) >= 0:
		default:
			return false
		}
	}
	return true
}
