package lab

import (
	"bytes"
	"context"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"github.com/nodisk/nodisk/build/kernel"
)

// PlainKernel returns the file of an x86 kernel by which an emulated machine with one
// processor boots: the vmlinux in a bzImage, if QEMU can enter that (PVH), else the
// bzImage. A kernel that unpacks itself by an emulated processor needs more time for
// it than for the rest of its boot. Each is unpacked once.
func (l *Lab) PlainKernel(ctx context.Context, file string) string {
	l.plain.Lock()
	defer l.plain.Unlock()
	if plain, ok := l.plain.of[file]; ok {
		return plain
	}
	plain := l.Path("vmlinux" + strconv.Itoa(len(l.plain.of)))
	if err := unpackKernel(ctx, file, plain); err != nil {
		l.Log().Info("the kernel unpacks itself", "kernel", file, "because", err)
		plain = file
	}
	if l.plain.of == nil {
		l.plain.of = map[string]string{}
	}
	l.plain.of[file] = plain
	return plain
}

// unpackKernel writes the vmlinux of a bzImage to a file.
func unpackKernel(ctx context.Context, bzImage, to string) error {
	f, err := os.Open(filepath.Clean(bzImage))
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	data, err := kernel.Unpack(ctx, f)
	if err != nil {
		return err
	}
	if err := enteredByPVH(data); err != nil {
		return err
	}
	if err := os.WriteFile(to, data, 0o600); err != nil {
		return errors.Join(fmt.Errorf("unpack kernel: %w", err), os.Remove(to))
	}
	return nil
}

// enteredByPVH reports whether a vmlinux says where it is entered in 32-bit mode:
// by the note XEN_ELFNOTE_PHYS32_ENTRY (include/xen/interface/elfnote.h), which
// kernels with CONFIG_PVH have.
func enteredByPVH(vmlinux []byte) error {
	const phys32Entry = 18
	file, err := elf.NewFile(bytes.NewReader(vmlinux))
	if err != nil {
		return fmt.Errorf("read kernel: %w", err)
	}
	defer func() { _ = file.Close() }()
	for _, p := range file.Progs {
		if p.Type != elf.PT_NOTE {
			continue
		}
		notes := make([]byte, p.Filesz)
		if _, err := p.ReadAt(notes, 0); err != nil {
			return fmt.Errorf("read kernel: notes: %w", err)
		}
		// Lengths of name and description, the type, then both, each filled up to
		// four bytes (elf(5)).
		for len(notes) >= 12 {
			name, desc := int(binary.LittleEndian.Uint32(notes)), int(binary.LittleEndian.Uint32(notes[4:]))
			kind := binary.LittleEndian.Uint32(notes[8:])
			end := 12 + (name+3)&^3 + (desc+3)&^3
			if name < 0 || desc < 0 || end > len(notes) {
				break
			}
			if kind == phys32Entry && bytes.HasPrefix(notes[12:], []byte("Xen\x00")) {
				return nil
			}
			notes = notes[end:]
		}
	}
	return errors.New("read kernel: it has no entry for PVH (CONFIG_PVH)")
}
