package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
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
	return b.afterBase([]segment{{files: files, compression: b.spec.Compress}})
}

// addMicrocodeAndSecrets puts microcode before the other segments and secrets after them.
func (b *builder) addMicrocodeAndSecrets(ctx context.Context, list []segment, files []file) ([]segment, error) {
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

// segmentBlocks is a segment on its way into the image's file.
type segmentBlocks struct {
	segment
	blocks []*block // nil if it was packed before
}

// write packs the segments and writes the image.
func (b *builder) write(ctx context.Context, list []segment) error {
	segments, err := b.cut(list)
	if err != nil {
		return err
	}
	mode := fs.FileMode(imageMode)
	if b.private {
		mode = secretMode
	}
	out, err := b.outs.open(ctx, b.spec.Out, mode, false)
	if err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	sum := sha256.New()
	size := &sizeWriter{}
	if err := b.writeSegments(ctx, segments, io.MultiWriter(out, sum, size), size); err != nil {
		return err
	}
	b.report.Bytes, b.report.SHA256 = size.n, hex.EncodeToString(sum.Sum(nil))
	b.warnUnread(segments)
	return b.writeSBOM(ctx, segments)
}

// warnUnread warns of an image that boots, and that our own reader takes for one that is made to harm it.
func (b *builder) warnUnread(segments []segmentBlocks) {
	var has amount
	if b.base != nil {
		has = b.base.has
	}
	for _, p := range segments {
		if p.blocks == nil {
			continue
		}
		has.entries += int64(len(p.files)) + 1
		for _, f := range p.files {
			has.names += int64(len(f.name))
			if f.mode&typeMask == typeLink {
				has.names += f.size()
			}
		}
	}
	if err := has.exceeds(limitsOf(b.report.Bytes), b.report.Bytes); err != nil {
		b.report.Warnings = append(b.report.Warnings,
			fmt.Sprintf("nodisk inspect, plan and boot will not read it, though the kernel will: %v", err))
	}
}

// cut makes archives of segments and cuts them into blocks.
func (b *builder) cut(list []segment) ([]segmentBlocks, error) {
	var segments []segmentBlocks
	for _, s := range list {
		if s.source != nil {
			segments = append(segments, segmentBlocks{segment: s})
			continue
		}
		for _, files := range split(s.files, s.compression) {
			blocks, err := blocksOf(files, s.compression, b.spec.Time)
			if err != nil {
				return nil, err
			}
			segments = append(segments, segmentBlocks{segment: segment{files: files, compression: s.compression},
				blocks: blocks})
			b.report.measure(blocks[0].archive)
		}
	}
	return segments, nil
}

// writeSegments compresses what is in memory, and then writes the image, reading and
// compressing on the way what is not.
func (b *builder) writeSegments(ctx context.Context, segments []segmentBlocks, w io.Writer, size *sizeWriter) error {
	total := int64(0)
	for _, p := range segments {
		for _, one := range p.blocks {
			total += one.size()
		}
	}
	done := b.counter(stepCompress, int(total))
	if err := b.packMemory(ctx, segments, done); err != nil {
		return err
	}
	if b.spec.SBOM != "" {
		wantSums(segments)
	}
	line := pipeline{effort: effortFor(segments), careful: b.packed, done: done}
	return line.write(ctx, segments, w, size)
}

// packMemory compresses what is in memory.
func (b *builder) packMemory(ctx context.Context, segments []segmentBlocks, done func(n int)) error {
	jobs := make(map[Compression][]*block)
	for _, p := range segments {
		for _, one := range p.blocks {
			if !one.streamed {
				jobs[p.compression] = append(jobs[p.compression], one)
			}
		}
	}
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
