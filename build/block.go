package build

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// A block is a stretch of a segment that is compressed by itself: on another
// core than its neighbours, and once for all images that have it.
type block struct {
	raw    []byte
	packed []byte
	part   Part // of the one file whose content it is, or the most of an archive; else 0
}

// shared tells blocks that later images have too, and that hold nothing private:
// what an administrator gives (config, added files, secrets) is never kept on disk.
func (b *block) shared() bool {
	switch b.part {
	case PartInit, PartModules, PartFirmware, PartRescue:
		return len(b.raw) >= blockFile
	default:
		return false
	}
}

// How segments are cut. The cuts follow from the files alone, never from the machine, and a
// file's content begins a block of its own so that it is the same block in every image.
const (
	// blockFile is the size from which a file is an lz4 block of its own. A block cannot
	// refer to what is before it, which costs small files more than large ones.
	blockFile = 48 << 10
	// blockArchive is about how much goes into one archive of the other compressions: the
	// kernel ends a frame of zstd, a gzip member and an xz stream with an archive
	// (init/initramfs.c: "junk at the end of compressed archive").
	blockArchive = 4 << 20
)

// blocksOf packs the files as a cpio archive and cuts it into blocks for lz4, else
// it is one block.
func blocksOf(files []file, c Compression, mtime time.Time) ([]block, error) {
	var out bytes.Buffer
	size := 0
	for _, f := range files {
		size += cpioHeader + len(f.name) + len(f.data) + 8
	}
	out.Grow(size + 1024)
	ends, err := writeCPIO(&out, files, mtime)
	if err != nil {
		return nil, err
	}
	data := out.Bytes()
	if c != LZ4 {
		b := block{raw: data}
		if !slices.ContainsFunc(files, isGiven) {
			b.part = files[len(files)-1].part
		}
		return []block{b}, nil
	}
	var list []block
	from := 0
	add := func(to int, part Part) {
		for from < to {
			n := min(to-from, lz4LegacyBlock)
			list = append(list, block{raw: data[from : from+n], part: part})
			from += n
		}
	}
	for i, f := range files {
		if i > 0 && isGiven(files[i-1]) && !isGiven(f) {
			// So that what follows is the same in images with another config.
			add(ends[i-1]+-ends[i-1]&3, 0)
		}
		if len(f.data) < blockFile {
			continue
		}
		add(ends[i]-len(f.data), 0)
		add(ends[i], f.part)
	}
	add(len(data), 0)
	return list, nil
}

// isGiven tells files that are of this image alone.
func isGiven(f file) bool {
	switch f.part {
	case PartIndexes, PartInit, PartModules, PartFirmware, PartRescue:
		return false
	default:
		return true
	}
}

// split cuts the files of a segment into those of several, for compressions that
// know no blocks.
func split(files []file, c Compression) [][]file {
	if c == LZ4 || c == None {
		return [][]file{files}
	}
	var (
		list [][]file
		from int
		size int
	)
	for i, f := range files {
		if i > from && (size+len(f.data) > blockArchive || isGiven(f) != isGiven(files[i-1]) || f.part == PartInit) {
			list, from, size = append(list, files[from:i]), i, 0
		}
		size += len(f.data)
	}
	return append(list, files[from:])
}

// pack compresses blocks, several at a time, the largest first.
func (b *builder) pack(ctx context.Context, c Compression, blocks []*block, done func(n int)) error {
	bySize := slices.SortedStableFunc(slices.Values(blocks), func(x, y *block) int { return cmp.Compare(len(y.raw), len(x.raw)) })
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.GOMAXPROCS(0))
	for _, one := range bySize {
		group.Go(func() (err error) {
			if err := ctx.Err(); err != nil {
				return err
			}
			pack := func() ([]byte, error) { return packBlock(ctx, c, one.raw, done) }
			made := false
			one.packed, err = b.spec.Cache.packed(c, one.raw, one.shared(), func() ([]byte, error) {
				if one.part == PartInit {
					if packed, ok := embeddedBlock(c, one.raw); ok {
						return packed, nil
					}
				}
				made = true
				return pack()
			})
			if !made && err == nil {
				done(len(one.raw))
			}
			return err
		})
	}
	return group.Wait()
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

// lz4Sized is an lz4 block behind its size.
func lz4Sized(ctx context.Context, raw []byte, done func(n int)) ([]byte, error) {
	packed, err := lz4Block(ctx, raw, done)
	if err != nil {
		return nil, err
	}
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, len(packed)+4), uint32(len(packed))), packed...), nil
}
