package initramfs

import (
	"bytes"
	"cmp"
	"context"
	"io"
	"iter"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/compress"
)

// An Archive is one archive of an image to be: files that are packed now, or
// bytes that were packed by somebody else.
type Archive struct {
	Files       []Entry // in the order of the archive, as layout returns them
	Compression compress.Compression
	Source      *Source // taken as it is; files must be nil then
}

// gap is how many zero bytes go between a segment that ends at offset and the
// next. The kernel looks for an archive at multiples of four
// (init/initramfs.c, unpack_to_rootfs), and takes what follows an lz4 frame without a zero
// word for its next block (lib/decompress_unlz4.c).
func gap(offset int64, before compress.Compression) int {
	zeroes := int(-offset & 3)
	if before == compress.LZ4 {
		zeroes += 4
	}
	return zeroes
}

// An ArchiveBlocks is a segment on its way into the image's file.
type ArchiveBlocks struct {
	Archive
	blocks []*block // nil if it was packed before
}

// Cut makes archives of segments and cuts them into blocks; mtime is the time of all files.
func Cut(list []Archive, mtime time.Time) ([]ArchiveBlocks, error) {
	var cut []ArchiveBlocks
	for _, s := range list {
		if s.Source != nil {
			cut = append(cut, ArchiveBlocks{Archive: s})
			continue
		}
		for _, files := range split(s.Files, s.Compression) {
			blocks, err := blocksOf(files, s.Compression, mtime)
			if err != nil {
				return nil, err
			}
			cut = append(cut, ArchiveBlocks{Archive: Archive{Files: files, Compression: s.Compression}, blocks: blocks})
		}
	}
	return cut, nil
}

// Raw is how many bytes the archive has before it is compressed; 0 if it was packed before.
func (p ArchiveBlocks) Raw() int64 {
	if p.blocks == nil {
		return 0
	}
	return p.blocks[0].archive.size
}

// Contents are the files of the archive, with the bytes that each takes in it; none if it was packed before.
func (p ArchiveBlocks) Contents() iter.Seq2[Entry, int64] {
	return func(yield func(Entry, int64) bool) {
		if p.blocks == nil {
			return
		}
		for _, r := range p.blocks[0].archive.records {
			if !yield(r.Entry, r.bytes) {
				return
			}
		}
	}
}

// CheckReadable returns an error for an image of so many bytes that boots, and that our own reader
// takes for one that is made to harm it; has is what a base before the cut has.
func CheckReadable(has Amount, cut []ArchiveBlocks, bytes int64) error {
	for _, p := range cut {
		if p.blocks == nil {
			continue
		}
		has.entries += int64(len(p.Files)) + 1
		for _, f := range p.Files {
			has.names += int64(len(f.Name))
			if f.Mode&TypeMask == TypeLink {
				has.names += f.size()
			}
		}
	}
	return has.exceeds(limitsOf(bytes), bytes)
}

// A Writer packs segments and writes them one after the other.
type Writer struct {
	Cache *cache.Cache                                            // nil: nothing is kept
	Ready func(c compress.Compression, raw []byte) ([]byte, bool) // finds a block of /init that is packed already
	Sums  bool                                                    // the hashes of sources are wanted
	// told of all bytes there are, then of those that were dealt with
	Progress func(total int) func(n int)

	InitBytes int64 // what /init takes, packed
}

// Write compresses what is in memory, and then writes the image, reading and
// compressing on the way what is not. It returns how many bytes the image has.
func (w *Writer) Write(ctx context.Context, cut []ArchiveBlocks, out io.Writer) (int64, error) {
	total := int64(0)
	for _, p := range cut {
		for _, one := range p.blocks {
			total += one.size()
		}
	}
	done := w.Progress(int(total))
	if err := w.packMemory(ctx, cut, done); err != nil {
		return 0, err
	}
	if w.Sums {
		wantSums(cut)
	}
	size := &sizeWriter{}
	line := pipeline{effort: effortFor(cut), careful: w.packed, done: done}
	err := line.write(ctx, cut, io.MultiWriter(out, size), size)
	return size.n, err
}

// packMemory compresses what is in memory.
func (w *Writer) packMemory(ctx context.Context, cut []ArchiveBlocks, done func(n int)) error {
	jobs := make(map[compress.Compression][]*block)
	for _, p := range cut {
		for _, one := range p.blocks {
			if !one.streamed {
				jobs[p.Compression] = append(jobs[p.Compression], one)
			}
		}
	}
	for _, c := range compress.Compressions() {
		if err := w.pack(ctx, c, jobs[c], done); err != nil {
			return err
		}
		for _, one := range jobs[c] {
			if one.part == PartInit {
				w.InitBytes += int64(len(one.packed))
			}
		}
	}
	return nil
}

// pack compresses blocks that are in memory, several at a time, the largest first.
func (w *Writer) pack(ctx context.Context, c compress.Compression, blocks []*block, done func(n int)) error {
	bySize := slices.SortedStableFunc(slices.Values(blocks),
		func(x, y *block) int { return cmp.Compare(y.size(), x.size()) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, one := range bySize {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			raw, err := one.load()
			if err == nil {
				one.packed, err = w.packed(ctx, c, one, raw, done)
			}
			return err
		})
	}
	return group.Wait()
}

// packed compresses a block with care, or finds it compressed.
func (w *Writer) packed(
	ctx context.Context,
	c compress.Compression,
	one *block,
	raw []byte,
	done func(n int),
) ([]byte, error) {
	made := false
	packed, err := w.Cache.Packed(c, raw, one.shared(), func() ([]byte, error) {
		if one.part == PartInit {
			if packed, ok := w.Ready(c, raw); ok {
				return packed, nil
			}
		}
		made = true
		return packBlock(ctx, c, raw, done)
	})
	if !made && err == nil {
		done(len(raw))
	}
	return packed, err
}

// packBlock compresses one block. That of lz4 has its length before it, but no magic number.
func packBlock(ctx context.Context, c compress.Compression, raw []byte, done func(n int)) ([]byte, error) {
	if c == compress.LZ4 {
		return compress.LZ4Sized(ctx, raw, done)
	}
	var out bytes.Buffer
	err := compress.Write(ctx, &out, c, raw, done)
	return out.Bytes(), err
}
