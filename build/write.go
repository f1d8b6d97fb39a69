package build

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

// A segmentBlocks is a segment on its way into the image's file.
type segmentBlocks struct {
	segment
	blocks []*block // nil if it was packed before
}

// cutAll makes archives of segments and cuts them into blocks; mtime is the time of all files.
func cutAll(list []segment, mtime time.Time) ([]segmentBlocks, error) {
	var cut []segmentBlocks
	for _, s := range list {
		if s.source != nil {
			cut = append(cut, segmentBlocks{segment: s})
			continue
		}
		for _, files := range split(s.files, s.compression) {
			blocks, err := blocksOf(files, s.compression, mtime)
			if err != nil {
				return nil, err
			}
			cut = append(cut, segmentBlocks{segment: segment{files: files, compression: s.compression}, blocks: blocks})
		}
	}
	return cut, nil
}

// raw is how many bytes the archive has before it is compressed; 0 if it was packed before.
func (p segmentBlocks) raw() int64 {
	if p.blocks == nil {
		return 0
	}
	return p.blocks[0].archive.size
}

// contents are the files of the archive, with the bytes that each takes in it; none if it was packed before.
func (p segmentBlocks) contents() iter.Seq2[file, int64] {
	return func(yield func(file, int64) bool) {
		if p.blocks == nil {
			return
		}
		for _, r := range p.blocks[0].archive.records {
			if !yield(r.file, r.bytes) {
				return
			}
		}
	}
}

// checkReadable returns an error for an image of so many bytes that boots, and that our own reader takes for one that is
// made to harm it; has is what a base before the cut has.
func checkReadable(has amount, cut []segmentBlocks, bytes int64) error {
	for _, p := range cut {
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
	return has.exceeds(limitsOf(bytes), bytes)
}

// A writer packs segments and writes them one after the other.
type writer struct {
	cache    *Cache                                         // nil: nothing is kept
	ready    func(c Compression, raw []byte) ([]byte, bool) // finds a block of /init that is packed already
	sums     bool                                           // the hashes of sources are wanted
	progress func(total int) func(n int)                    // told of all bytes there are, then of those that were dealt with

	initBytes int64 // what /init takes, packed
}

// write compresses what is in memory, and then writes the image, reading and
// compressing on the way what is not. It returns how many bytes the image has.
func (w *writer) write(ctx context.Context, cut []segmentBlocks, out io.Writer) (int64, error) {
	total := int64(0)
	for _, p := range cut {
		for _, one := range p.blocks {
			total += one.size()
		}
	}
	done := w.progress(int(total))
	if err := w.packMemory(ctx, cut, done); err != nil {
		return 0, err
	}
	if w.sums {
		wantSums(cut)
	}
	size := &sizeWriter{}
	line := pipeline{effort: effortFor(cut), careful: w.packed, done: done}
	err := line.write(ctx, cut, io.MultiWriter(out, size), size)
	return size.n, err
}

// packMemory compresses what is in memory.
func (w *writer) packMemory(ctx context.Context, cut []segmentBlocks, done func(n int)) error {
	jobs := make(map[Compression][]*block)
	for _, p := range cut {
		for _, one := range p.blocks {
			if !one.streamed {
				jobs[p.compression] = append(jobs[p.compression], one)
			}
		}
	}
	for _, c := range Compressions() {
		if err := w.pack(ctx, c, jobs[c], done); err != nil {
			return err
		}
		for _, one := range jobs[c] {
			if one.part == PartInit {
				w.initBytes += int64(len(one.packed))
			}
		}
	}
	return nil
}

// pack compresses blocks that are in memory, several at a time, the largest first.
func (w *writer) pack(ctx context.Context, c Compression, blocks []*block, done func(n int)) error {
	bySize := slices.SortedStableFunc(slices.Values(blocks), func(x, y *block) int { return cmp.Compare(y.size(), x.size()) })
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
func (w *writer) packed(ctx context.Context, c Compression, one *block, raw []byte, done func(n int)) ([]byte, error) {
	made := false
	packed, err := w.cache.packed(c, raw, one.shared(), func() ([]byte, error) {
		if one.part == PartInit {
			if packed, ok := w.ready(c, raw); ok {
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
func packBlock(ctx context.Context, c Compression, raw []byte, done func(n int)) ([]byte, error) {
	if c == LZ4 {
		return lz4Sized(ctx, raw, done)
	}
	var out bytes.Buffer
	err := compress(ctx, &out, c, raw, done)
	return out.Bytes(), err
}
