package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"slices"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/build/program"
	"github.com/nodisk/nodisk/internal/magic"
)

// segments puts the files of an image into archives, in the order in which the
// kernel unpacks them: a later file replaces an earlier one of its name.
func (b *builder) segments(files []initramfs.Entry) []initramfs.Archive {
	return b.afterBase([]initramfs.Archive{{Files: files, Compression: b.spec.Compress}})
}

// addMicrocodeAndSecrets puts microcode before the other segments and secrets after them.
func (b *builder) addMicrocodeAndSecrets(
	ctx context.Context,
	list []initramfs.Archive,
	files []initramfs.Entry,
) ([]initramfs.Archive, error) {
	arch := ""
	if i := slices.IndexFunc(files, func(f initramfs.Entry) bool { return f.Part == initramfs.PartInit }); i >= 0 {
		arch = magic.ELFArch(files[i].Data)
	}
	first, err := b.microcode(ctx, arch)
	if err != nil {
		return nil, err
	}
	if first != nil {
		list = append([]initramfs.Archive{*first}, list...)
	}
	return b.secrets(ctx, list, files)
}

// write packs the segments and writes the image.
func (b *builder) write(ctx context.Context, list []initramfs.Archive) error {
	cut, err := b.cut(list)
	if err != nil {
		return err
	}
	mode := fs.FileMode(output.ImageMode)
	if b.private {
		mode = initramfs.SecretMode
	}
	out, err := b.outs.Open(ctx, b.spec.Out, mode, false)
	if err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	sum := sha256.New()
	w := initramfs.Writer{
		Cache: b.spec.Cache, Ready: program.EmbeddedBlock, Sums: b.spec.SBOM != "",
		Progress: func(total int) func(n int) { return b.counter(stepCompress, total) },
	}
	size, err := w.Write(ctx, cut, io.MultiWriter(out, sum))
	if err != nil {
		return err
	}
	b.report.Bytes, b.report.InitBytes, b.report.SHA256 = size, w.InitBytes, hex.EncodeToString(sum.Sum(nil))
	var has initramfs.Amount
	if b.base != nil {
		has = b.base.has
	}
	if err := initramfs.CheckReadable(has, cut, size); err != nil {
		b.report.Warnings = append(b.report.Warnings,
			fmt.Sprintf("nodisk inspect, plan and boot will not read it, though the kernel will: %v", err))
	}
	return b.writeSBOM(ctx, cut)
}

// cut makes archives of segments, and puts what is in them into the report.
func (b *builder) cut(list []initramfs.Archive) ([]initramfs.ArchiveBlocks, error) {
	cut, err := initramfs.Cut(list, b.spec.Time)
	if err != nil {
		return nil, err
	}
	for _, p := range cut {
		b.report.measure(p)
	}
	return cut, nil
}
