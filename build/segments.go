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

// segments puts the files of an image into archives, in the order in which the
// kernel unpacks them: a later file replaces an earlier one of its name.
func (b *builder) segments(files []file) []segment {
	return b.afterBase([]segment{{files: files, compression: b.spec.Compress}})
}

// addMicrocodeAndSecrets puts microcode before the other segments and secrets behind them.
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

// write packs the segments and writes the image.
func (b *builder) write(ctx context.Context, list []segment) error {
	cut, err := b.cut(list)
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
	w := writer{
		cache: b.spec.Cache, ready: embeddedBlock, sums: b.spec.SBOM != "",
		progress: func(total int) func(n int) { return b.counter(stepCompress, total) },
	}
	size, err := w.write(ctx, cut, io.MultiWriter(out, sum))
	if err != nil {
		return err
	}
	b.report.Bytes, b.report.InitBytes, b.report.SHA256 = size, w.initBytes, hex.EncodeToString(sum.Sum(nil))
	var has amount
	if b.base != nil {
		has = b.base.has
	}
	if err := checkReadable(has, cut, size); err != nil {
		b.report.Warnings = append(b.report.Warnings, fmt.Sprintf("nodisk inspect, plan and boot will not read it, though the kernel will: %v", err))
	}
	return b.writeSBOM(ctx, cut)
}

// cut makes archives of segments, and puts what is in them into the report.
func (b *builder) cut(list []segment) ([]segmentBlocks, error) {
	cut, err := cutAll(list, b.spec.Time)
	if err != nil {
		return nil, err
	}
	for _, p := range cut {
		b.report.measure(p)
	}
	return cut, nil
}
