package kernel

import (
	"context"
	"debug/pe"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/magic"
)

// Unified is what a unified kernel image (UKI) brings besides the kernel: "Unified Kernel Image", UAPI Group
// specification 5 (uapi-group.org).
type Unified struct {
	Is      bool
	Initrd  bool   // it has an initramfs of its own
	Cmdline string // the command line of its own; empty: it has none
}

// Notes tell what of a kernel's file may surprise whoever makes an image for it.
func (k Image) Notes() []string {
	if !k.Unified.Is {
		return nil
	}
	own := []string{"what starts it may give it an image"}
	if k.Unified.Initrd {
		own = []string{"it brings an initramfs of its own, which systemd-stub hands to the kernel before any other"}
	}
	if k.Unified.Cmdline != "" {
		own = append(own, "a command line of its own ("+escape.Text(k.Unified.Cmdline)+")")
	}
	return []string{"the kernel is a unified kernel image: " + strings.Join(own, ", and ") +
		"; for the network take the kernel in it: objcopy -O binary --only-section=.linux FILE vmlinuz"}
}

// isPE reports whether a file begins as an EFI program does. So do kernels with an EFI stub, which
// have marks of their own.
func isPE(head []byte) bool {
	return magic.At(head, 0, "MZ") && len(head) >= 0x40 && binary.LittleEndian.Uint32(head[0x3c:]) >= 0x40
}

// linuxOf returns the kernel in a unified kernel image, and what else is in it.
func linuxOf(r io.ReaderAt) (*io.SectionReader, Unified, error) {
	f, err := pe.NewFile(r)
	if err != nil {
		return nil, Unified{}, errors.New("it begins as an EFI program, and is none: it is damaged, or cut off")
	}
	u := Unified{Is: true}
	var kernel *io.SectionReader
	for _, s := range f.Sections {
		in := io.NewSectionReader(r, int64(s.Offset), int64(min(s.Size, s.VirtualSize)))
		switch s.Name {
		case ".linux":
			kernel = in
		case ".initrd":
			u.Initrd = true
		case ".cmdline":
			text, err := io.ReadAll(io.LimitReader(in, 4096)) // COMMAND_LINE_SIZE is 4 KiB at most
			if err != nil {
				return nil, u, fmt.Errorf("read its command line: %w", err)
			}
			u.Cmdline = strings.TrimSpace(strings.TrimRight(string(text), "\x00"))
		}
	}
	if kernel == nil {
		return nil, u, errors.New("it is an EFI program without a kernel in it (section .linux)")
	}
	return kernel, u, nil
}

// parseUnified reads the kernel in a unified kernel image.
func parseUnified(ctx context.Context, r io.ReaderAt) (Image, error) {
	linux, u, err := linuxOf(r)
	if err != nil {
		return Image{}, err
	}
	head := make([]byte, 0x210)
	if n, err := linux.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return Image{}, fmt.Errorf("read its section .linux: %w", err)
	} else if head = head[:n]; isUnified(head) {
		return Image{}, errors.New("its section .linux is an EFI program, not a kernel")
	}
	k, err := Parse(ctx, linux)
	if err != nil {
		return Image{}, fmt.Errorf("its section .linux: %w", err)
	}
	k.Unified = u
	return k, nil
}

// isUnified reports whether a file is an EFI program that is not itself a kernel.
func isUnified(head []byte) bool {
	return isPE(head) && !magic.At(head, 0x202, "HdrS") && !magic.At(head, 4, "zimg") && imageArch(head) == ""
}
