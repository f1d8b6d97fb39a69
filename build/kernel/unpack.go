package kernel

import (
	"bytes"
	"compress/bzip2"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz/lzma"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/internal/magic"
)

// Unpack returns the plain kernel of a kernel's file, also in a unified kernel image, of at most 256 MiB: an ELF
// vmlinux on x86, an Image on arm64. A file that is plain already is returned as
// it is. The end of ctx ends it.
func Unpack(ctx context.Context, r io.ReaderAt) ([]byte, error) {
	return unpackKernel(ctx, r, kernelMax)
}

// unpackKernel returns the plain kernel of a kernel's file, at most limit bytes: an ELF vmlinux
// with its sections on x86, an Image on arm64.
func unpackKernel(ctx context.Context, r io.ReaderAt, limit int64) ([]byte, error) {
	data, err := io.ReadAll(infile.Heed(ctx, io.NewSectionReader(r, 0, kernelMax)))
	if err != nil {
		return nil, err
	}
	switch {
	case magic.At(data, 0x202, "HdrS"):
		payload, err := bzImagePayload(data)
		if err != nil {
			return nil, err
		}
		return unpackPayload(ctx, payload, limit)
	case magic.At(data, 4, "zimg"):
		payload, err := zbootPayload(data)
		if err != nil {
			return nil, err
		}
		return unpackPayload(ctx, payload, limit)
	case imageArch(data) != "", magic.At(data, 0, "\x7fELF"):
		return data, nil
	case isUnified(data):
		linux, _, err := linuxOf(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		head := make([]byte, 0x210)
		if n, _ := linux.ReadAt(head, 0); isUnified(head[:n]) {
			return nil, errors.New("its section .linux is an EFI program, not a kernel")
		}
		return unpackKernel(ctx, linux, limit)
	}
	return unpackPayload(ctx, data, limit)
}

// bzImagePayload cuts the packed kernel out of a buildtest.BzImage: payload_offset and
// payload_length of the header, counted from the end of the real-mode code
// (Documentation/arch/x86/boot.rst).
func bzImagePayload(data []byte) ([]byte, error) {
	const (
		setupSects = 0x1f1
		protocol   = 0x206
		payload    = 0x248 // offset, then length
	)
	le := binary.LittleEndian
	if len(data) < payload+8 || le.Uint16(data[protocol:]) < 0x208 {
		return nil, errors.New("the bzImage does not say where the packed kernel lies in it (boot " +
			"protocol before 2.08)")
	}
	sectors := int64(data[setupSects])
	if sectors == 0 {
		sectors = 4
	}
	begin := (sectors+1)*512 + int64(le.Uint32(data[payload:]))
	end := begin + int64(le.Uint32(data[payload+4:]))
	if end > int64(len(data)) || begin >= end {
		return nil, fmt.Errorf("the packed kernel ends at byte %d, the bzImage has %d: it is cut off", end, len(data))
	}
	return data[begin:end], nil
}

// zbootPayload cuts the packed kernel out of an EFI zboot file
// (drivers/firmware/efi/libstub/zboot-header.S).
func zbootPayload(data []byte) ([]byte, error) {
	if len(data) < 56 {
		return nil, errors.New("the EFI zboot file is cut off in its header")
	}
	begin := int64(binary.LittleEndian.Uint32(data[8:]))
	end := begin + int64(binary.LittleEndian.Uint32(data[12:]))
	if end > int64(len(data)) || begin >= end {
		return nil, fmt.Errorf("the packed kernel ends at byte %d, the EFI zboot file has %d: it is cut off",
			end, len(data))
	}
	return data[begin:end], nil
}

// unpackPayload unpacks a kernel by the magic of its compression; after it may
// lie the size of the plain kernel (scripts/Makefile.lib, size_append).
func unpackPayload(ctx context.Context, data []byte, limit int64) ([]byte, error) {
	name, plain, err := openPayload(data)
	if err != nil {
		return nil, err
	}
	if plain == nil {
		return unpackXZKernel(ctx, data, limit)
	}
	if d, ok := plain.(*zstd.Decoder); ok {
		defer d.Close()
	}
	var out bytes.Buffer
	if n := len(data); n >= 4 {
		// A hint: what is wrong costs no more than the kernel's own size does.
		out.Grow(min(int(binary.LittleEndian.Uint32(data[n-4:])), 16*n, int(limit)))
	}
	n, err := io.Copy(&out, io.LimitReader(infile.Heed(ctx, plain), limit+1))
	if n > 0 && errors.Is(err, zstd.ErrMagicMismatch) {
		err = nil // after the frame is the size
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("unpack kernel (%s): %w", name, err)
	case n > limit:
		return nil, fmt.Errorf("unpack kernel (%s): more than %d MiB", name, limit>>20)
	}
	return out.Bytes(), nil
}

// isCompressed reports whether a file begins as one of those that openPayload knows.
func isCompressed(head []byte) bool {
	for _, prefix := range []string{
		"\x1f\x8b", xzKernelMagic, "\x28\xb5\x2f\xfd", "\x02\x21\x4c\x18", "BZh",
		"\x5d\x00\x00", "\x89LZO",
	} {
		if magic.At(head, 0, prefix) {
			return true
		}
	}
	return false
}

// openPayload names the compression and begins to unpack; nil is xz, which has
// a way of its own.
func openPayload(data []byte) (name string, plain io.Reader, err error) {
	in := bytes.NewReader(data)
	switch {
	case magic.At(data, 0, "\x1f\x8b"):
		z, err := gzip.NewReader(in)
		if err != nil {
			return "", nil, fmt.Errorf("unpack kernel (gzip): %w", err)
		}
		z.Multistream(false)
		return "gzip", z, nil
	case magic.At(data, 0, xzKernelMagic):
		return "xz", nil, nil
	case magic.At(data, 0, "\x28\xb5\x2f\xfd"):
		z, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(compress.ZstdMaxWindow))
		if err != nil {
			return "", nil, fmt.Errorf("unpack kernel (zstd): %w", err)
		}
		return "zstd", z, nil
	case magic.At(data, 0, "\x02\x21\x4c\x18"):
		// lz4Stream takes the size for another block: it is smaller than any kernel.
		return "lz4", compress.UnpackLZ4(data[4:max(len(data)-4, 4)]), nil
	case magic.At(data, 0, "BZh"):
		// Not the size after it: it would be taken for another stream.
		return "bzip2", bzip2.NewReader(bytes.NewReader(data[:max(len(data)-4, 0)])), nil
	case magic.At(data, 0, "\x5d\x00\x00"):
		z, err := lzma.ReaderConfig{DictCap: 64 << 20}.NewReader(in) // as lzma -9
		if err != nil {
			return "", nil, fmt.Errorf("unpack kernel (lzma): %w", err)
		}
		return "lzma", z, nil
	case magic.At(data, 0, "\x89LZO"):
		return "", nil, errors.New("the kernel is packed with lzo, which nodisk does not unpack: give its " +
			"Module.symvers (--symvers), or the plain vmlinux or Image")
	}
	return "", nil, errors.New("the kernel is packed in a way not known here: give its Module.symvers (--symvers), " +
		"or the plain vmlinux or Image")
}
