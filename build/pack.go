package build

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"
)

// An effort is how much work goes into a compression.
type effort uint8

const (
	careful effort = iota + 1 // the smallest image
	quick                     // a tree that is added, which would take minutes
)

// quickFrom is how much may be added, in bytes, before it is compressed quickly: some 6 MB/s is
// what a core does with care.
const quickFrom = 16 << 20

// effortFor chooses by what is to be streamed: by the input alone, so that an image is the same
// wherever it is made.
func effortFor(segments []segmentBlocks) effort {
	size := int64(0)
	for _, p := range segments {
		for _, one := range p.blocks {
			if one.streamed {
				size += one.size()
			}
		}
	}
	if size > quickFrom {
		return quick
	}
	return careful
}

// pack compresses blocks that are in memory, several at a time, the largest first.
func (b *builder) pack(ctx context.Context, c Compression, blocks []*block, done func(n int)) error {
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
				one.packed, err = b.packed(ctx, c, one, raw, done)
			}
			return err
		})
	}
	return group.Wait()
}

// packed compresses a block with care, or finds it compressed.
func (b *builder) packed(ctx context.Context, c Compression, one *block, raw []byte, done func(n int)) ([]byte, error) {
	made := false
	packed, err := b.spec.Cache.packed(c, raw, one.shared(), func() ([]byte, error) {
		if one.part == PartInit {
			if packed, ok := embeddedBlock(c, raw); ok {
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

// lz4Sized is an lz4 block after its size.
func lz4Sized(ctx context.Context, raw []byte, done func(n int)) ([]byte, error) {
	packed, err := lz4Block(ctx, raw, done)
	if err != nil {
		return nil, err
	}
	return append(binary.LittleEndian.AppendUint32(make([]byte, 0, len(packed)+4), uint32(len(packed))), packed...), nil
}

// wantSums has the hashes of all sources made while they are read. The names of one inode share
// them, as one of them alone is read.
func wantSums(segments []segmentBlocks) {
	groups := make(map[int]*sourceSums)
	for _, p := range segments {
		for _, f := range p.files {
			if f.source == nil {
				continue
			}
			sums := groups[f.group]
			if f.group == 0 || sums == nil {
				sums = newSourceSums()
			}
			groups[f.group], f.source.sums = sums, sums
		}
	}
}
