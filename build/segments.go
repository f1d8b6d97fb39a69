package build

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"slices"

	"golang.org/x/sync/errgroup"
)

// A segment is one archive of an image to be: files that are packed now, or
// bytes that were packed by somebody else.
type segment struct {
	files       []file // in the order of the archive, as layout returns them
	compression Compression
	packed      []byte // taken as it is; files must be nil then
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
func (b *builder) segments(files []file) ([]segment, error) {
	return []segment{{files: files, compression: b.spec.Compress}}, nil
}

// write packs the segments and puts the image into place.
func (b *builder) write(ctx context.Context, list []segment) (err error) {
	archives := make([][]byte, len(list))
	total := 0
	for i, s := range list {
		archives[i] = s.packed
		if s.packed == nil {
			var archive bytes.Buffer
			if err := writeCPIO(&archive, s.files, b.spec.Time); err != nil {
				return err
			}
			archives[i] = archive.Bytes()
			total += archive.Len()
			b.report.measure(s.files, int64(archive.Len()))
		}
	}

	out, err := newOutput(b.spec.Out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.discard()) }()
	sum := sha256.New()
	size := &sizeWriter{}
	w := io.MultiWriter(out, sum, size)
	group, compressing := errgroup.WithContext(ctx)
	group.Go(func() error {
		done := b.counter(stepCompress, total)
		for i, s := range list {
			if i > 0 {
				if _, err := w.Write(make([]byte, gap(size.n, list[i-1].compression))); err != nil {
					return err
				}
			}
			if s.packed != nil {
				if _, err := w.Write(s.packed); err != nil {
					return err
				}
				continue
			}
			if err := compress(compressing, w, s.compression, archives[i], done); err != nil {
				return err
			}
		}
		return nil
	})
	group.Go(func() error { // what /init alone takes
		for _, s := range list {
			at := slices.IndexFunc(s.files, func(f file) bool { return f.part == PartInit })
			if at < 0 {
				continue
			}
			alone := &sizeWriter{}
			if err := compress(compressing, alone, s.compression, s.files[at].data, func(int) {}); err != nil {
				return err
			}
			b.report.InitBytes = alone.n
		}
		return nil
	})
	if err := errors.Join(group.Wait(), ctx.Err()); err != nil {
		return err
	}
	b.counter(stepWrite, 0)(0)
	b.report.Bytes, b.report.SHA256 = size.n, hex.EncodeToString(sum.Sum(nil))
	return out.commit()
}
