package build

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
)

// A segment is one archive of an image to be: files that are packed now, or
// bytes that were packed by somebody else.
type segment struct {
	files       []file // in the order of the archive, as layout returns them
	compression Compression
	source      *Source // taken as it is; files must be nil then
}

// gap is how many zero bytes go between a segment that ends at offset and the
// next. The kernel looks for an archive at multiples of four
// (init/initramfs.c, unpack_to_rootfs), and takes what follows an lz4 frame without a zero
// word for its next block (lib/decompress_unlz4.c).
func gap(offset int64, before Compression) int {
	zeroes := int(-offset & 3)
	if before == LZ4 {
		zeroes += 4
	}
	return zeroes
}

// segments puts the files of an image into archives, in the order in which the
// kernel unpacks them: a later file replaces an earlier one of its name.
func (b *builder) segments(files []file) []segment {
	return b.behindBase([]segment{{files: files, compression: b.spec.Compress}})
}

// around puts microcode before the other segments and secrets behind them.
func (b *builder) around(ctx context.Context, list []segment, files []file) ([]segment, error) {
	arch := ""
	if i := slices.IndexFunc(files, func(f file) bool { return f.part == PartInit }); i >= 0 {
		arch = elfArch(files[i].data)
	}
	first, err := b.microcode(ctx, arch)
	if err != nil {
		return nil, err
	}
	if first != nil {
		list = append([]segment{*first}, list...)
	}
	return b.secrets(ctx, list, files)
}

// A packing is a segment on its way into the image's file.
type packing struct {
	segment
	blocks []*block // nil if it was packed before
}

// write packs the segments and puts the image into place.
func (b *builder) write(ctx context.Context, list []segment) (err error) {
	packings, err := b.packings(list)
	if err != nil {
		return err
	}
	out, err := newOutput(b.spec.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.discard()) }()
	if err := b.packAll(ctx, packings); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	b.counter(stepWrite, 0)(0)
	sum := sha256.New()
	size := &sizeWriter{}
	w := io.MultiWriter(out, sum, size)
	for i, p := range packings {
		if i > 0 {
			if _, err := w.Write(make([]byte, gap(size.n, packings[i-1].compression))); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
		}
		if err := p.write(w); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
	}
	b.report.Bytes, b.report.SHA256 = size.n, hex.EncodeToString(sum.Sum(nil))
	mode := fs.FileMode(imageMode)
	if b.private {
		mode = secretMode
	}
	if err := out.commit(mode); err != nil {
		return err
	}
	return b.writeSBOM(packings)
}

// packings makes archives of segments and cuts them into blocks.
func (b *builder) packings(list []segment) ([]packing, error) {
	var packings []packing
	for _, s := range list {
		if s.source != nil {
			packings = append(packings, packing{segment: s})
			continue
		}
		for _, files := range split(s.files, s.compression) {
			part := packing{segment: segment{files: files, compression: s.compression}}
			blocks, err := blocksOf(files, s.compression, b.spec.Time)
			if err != nil {
				return nil, err
			}
			raw := int64(0)
			for i := range blocks {
				raw += int64(len(blocks[i].raw))
				part.blocks = append(part.blocks, &blocks[i])
			}
			packings = append(packings, part)
			b.report.measure(files, raw)
		}
	}
	return packings, nil
}

// packAll compresses what is not packed yet.
func (b *builder) packAll(ctx context.Context, packings []packing) error {
	total := 0
	jobs := make(map[Compression][]*block)
	for _, p := range packings {
		for _, one := range p.blocks {
			total += len(one.raw)
			jobs[p.compression] = append(jobs[p.compression], one)
		}
	}
	done := b.counter(stepCompress, total)
	for _, c := range Compressions() {
		if err := b.pack(ctx, c, jobs[c], done); err != nil {
			return err
		}
		for _, one := range jobs[c] {
			if one.part == PartInit {
				b.report.InitBytes += int64(len(one.packed))
			}
		}
	}
	return nil
}

// write writes a packed segment.
func (p packing) write(w io.Writer) error {
	if p.source != nil {
		_, err := io.Copy(w, io.NewSectionReader(p.source, 0, p.source.Size))
		return err
	}
	if p.compression == LZ4 {
		if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, lz4LegacyMagic)); err != nil {
			return err
		}
	}
	for _, one := range p.blocks {
		if _, err := w.Write(one.packed); err != nil {
			return err
		}
	}
	return nil
}
