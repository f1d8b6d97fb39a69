package build

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"

	"github.com/pierrec/lz4/v4"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"
)

const (
	// streamWhole is up to which size a block is held in memory. A larger one, the archive of
	// a large file in a compression without blocks, goes through the compressor by pieces.
	streamWhole = 16 << 20
	// streamPooled is the size from which the memory of a block is used again.
	streamPooled = 256 << 10
	// streamCores bounds how many blocks are on the way, and with that the memory: each is there
	// once as it was read and once packed.
	streamCores = 8
)

// A pipeline reads, packs and writes what is not in memory: one goroutine reads blocks in the
// order of the image, several pack them, and the caller writes them in the same order.
type pipeline struct {
	effort  effort
	careful func(ctx context.Context, c Compression, one *block, raw []byte, done func(n int)) ([]byte, error)
	done    func(n int)

	flights chan *flight
	room    *semaphore.Weighted // bytes
	cores   *semaphore.Weighted
	buffers sync.Pool // of *[]byte, of streamBuffer()
	lz4     sync.Pool // of *lz4.Compressor
}

// A flight is a block on its way.
type flight struct {
	block     *block
	raw       []byte
	packed    []byte
	ready     chan struct{} // closed when packed is there
	buffers   []*[]byte     // to be used again
	occupying int64         // of pipeline.room
}

// write writes segments: what is packed already, and what is read and packed now.
func (s *pipeline) write(ctx context.Context, packings []packing, w io.Writer, size *sizeWriter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cores := min(runtime.GOMAXPROCS(0), streamCores)
	s.room = semaphore.NewWeighted(max(int64(cores+2)*2*lz4LegacyBlock, 2*streamWhole))
	s.cores = semaphore.NewWeighted(int64(cores))
	s.flights = make(chan *flight, 1<<10)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(s.flights)
		for _, p := range packings {
			if err := s.read(ctx, group, p); err != nil {
				return err
			}
		}
		return nil
	})
	err := s.writeAll(ctx, packings, w, size)
	cancel()
	reading := group.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return cmp.Or(reading, err)
}

// read reads the blocks of a segment and has them packed.
func (s *pipeline) read(ctx context.Context, group *errgroup.Group, p packing) (err error) {
	if p.blocks == nil {
		return nil
	}
	c := p.blocks[0].archive.cursor()
	defer func() { err = errors.Join(err, c.close()) }()
	for _, one := range p.blocks {
		if !one.streamed || one.large() {
			continue
		}
		f := &flight{block: one, ready: make(chan struct{}), occupying: 2 * one.size()}
		if err := s.room.Acquire(ctx, f.occupying); err != nil {
			return err
		}
		f.raw = s.buffer(f, int(one.size()))
		if err := c.seek(one.from); err != nil {
			return err
		}
		if _, err := io.ReadFull(c, f.raw); err != nil {
			return err
		}
		if err := s.cores.Acquire(ctx, 1); err != nil {
			return err
		}
		group.Go(func() error {
			defer s.cores.Release(1)
			defer close(f.ready)
			return s.pack(ctx, p.compression, f)
		})
		select {
		case s.flights <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// large reports whether a block is not held in memory.
func (b *block) large() bool { return b.size() > streamWhole }

// streamBuffer is what a block of lz4 may take: its size, and content that does not get smaller.
func streamBuffer() int { return 4 + lz4.CompressBlockBound(lz4LegacyBlock) }

// buffer is memory for a flight.
func (s *pipeline) buffer(f *flight, n int) []byte {
	if n < streamPooled || n > streamBuffer() {
		return make([]byte, n)
	}
	old, ok := s.buffers.Get().(*[]byte)
	if !ok {
		fresh := make([]byte, streamBuffer())
		old = &fresh
	}
	f.buffers = append(f.buffers, old)
	return (*old)[:n]
}

// pack compresses a block that was read.
func (s *pipeline) pack(ctx context.Context, c Compression, f *flight) (err error) {
	switch {
	case c == None:
		f.packed = f.raw
	case s.effort == careful:
		f.packed, err = s.careful(ctx, c, f.block, f.raw, s.done)
		return err
	case c == LZ4:
		f.packed, err = s.lz4Block(f)
	default:
		var out []byte
		if out, err = quickBlock(c, f.raw); err == nil {
			f.packed = out
		}
	}
	if err != nil {
		return fmt.Errorf("compress with %v: %w", c, err)
	}
	s.done(len(f.raw))
	return ctx.Err()
}

// lz4Block is a quickly packed block of lz4 after its size.
func (s *pipeline) lz4Block(f *flight) ([]byte, error) {
	z, ok := s.lz4.Get().(*lz4.Compressor)
	if !ok {
		z = new(lz4.Compressor)
	}
	defer s.lz4.Put(z)
	out := s.buffer(f, 4+lz4.CompressBlockBound(len(f.raw)))
	n, err := z.CompressBlock(f.raw, out[4:])
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(out, uint32(n)) //nolint:gosec // at most a little over 8 MiB
	return out[:4+n], nil
}

// writeAll writes the segments in their order.
func (s *pipeline) writeAll(ctx context.Context, packings []packing, w io.Writer, size *sizeWriter) error {
	for i, p := range packings {
		if i > 0 {
			if _, err := w.Write(make([]byte, gap(size.n, packings[i-1].compression))); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
		}
		if p.blocks == nil {
			if _, err := w.Write(p.packed); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
			continue
		}
		if p.compression == LZ4 {
			if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, lz4LegacyMagic)); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
		}
		for _, one := range p.blocks {
			if err := s.writeBlock(ctx, p.compression, one, w); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// writeBlock writes one block.
func (s *pipeline) writeBlock(ctx context.Context, c Compression, one *block, w io.Writer) error {
	switch {
	case !one.streamed:
		if _, err := w.Write(one.packed); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
		return nil
	case one.large():
		return s.writeLarge(ctx, c, one, w)
	}
	f, ok := <-s.flights
	if !ok {
		return context.Canceled // the reader says why
	}
	select {
	case <-f.ready:
	case <-ctx.Done():
		return ctx.Err()
	}
	if f.packed == nil {
		return context.Canceled // whoever packs says why
	}
	if _, err := w.Write(f.packed); err != nil {
		return fmt.Errorf("write image: %w", err)
	}
	for _, old := range f.buffers {
		s.buffers.Put(old)
	}
	s.room.Release(f.occupying)
	return nil
}

// writeLarge reads, compresses and writes an archive by pieces.
func (s *pipeline) writeLarge(ctx context.Context, c Compression, one *block, w io.Writer) (err error) {
	from := one.archive.cursor()
	defer func() { err = errors.Join(err, from.close()) }()
	z, err := newCompressor(w, c, s.effort)
	if err != nil {
		return fmt.Errorf("compress with %v: %w", c, err)
	}
	piece := make([]byte, 1<<20)
	for {
		n, err := from.Read(piece)
		if _, err := z.Write(piece[:n]); err != nil {
			return fmt.Errorf("compress with %v: %w", c, errors.Join(err, z.Close()))
		}
		s.done(n)
		if errors.Is(err, io.EOF) {
			break
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return errors.Join(err, z.Close())
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("compress with %v: %w", c, err)
	}
	return nil
}
