package initramfs

import (
	"bytes"
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

	"github.com/nodisk/nodisk/build/compress"
)

const (
	// streamWhole is up to which size a block is held in memory. A larger one, the archive of
	// a large file in a compression without blocks, goes through the compressor by pieces.
	streamWhole = 16 << 20
	// streamSmall is up to which size a block takes a small buffer. There are two sizes of buffers,
	// which are used again and again: garbage would double the memory.
	streamSmall = 256 << 10
	// streamCores bounds how many blocks are on the way, and with that the memory: each is there
	// once as it was read and once packed.
	streamCores = 8
)

// A pipeline reads, packs and writes what is not in memory: one goroutine reads blocks in the
// order of the image, several pack them, and the caller writes them in the same order.
type pipeline struct {
	effort  compress.Effort
	careful func(ctx context.Context, c compress.Compression, one *block, raw []byte, done func(n int)) ([]byte, error)
	done    func(n int)

	pending chan *pendingBlock
	room    *semaphore.Weighted // bytes
	cores   *semaphore.Weighted
	lz4     sync.Pool // of *lz4.Compressor
	again   sync.Pool // of io.WriteCloser that are resettable, of the one other compression

	mu   sync.Mutex
	free map[int][][]byte // buffers by their size
}

// A pendingBlock is one that was read and is not written yet.
type pendingBlock struct {
	raw, packed []byte
	ready       chan struct{} // closed when packed is there
	block       *block
	size        int      // of its buffers
	buffers     [][]byte // to be used again
}

// write writes segments: what is packed already, and what is read and packed now.
func (s *pipeline) write(ctx context.Context, segments []ArchiveBlocks, w io.Writer, size *sizeWriter) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cores := min(runtime.GOMAXPROCS(0), streamCores)
	s.room = semaphore.NewWeighted(max(int64(cores+2)*2*int64(bufferFor(compress.LZ4LegacyBlock)), 2*streamWhole))
	s.cores = semaphore.NewWeighted(int64(cores))
	s.pending = make(chan *pendingBlock, 1<<10)
	s.free = make(map[int][][]byte)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(s.pending)
		for _, p := range segments {
			if err := s.read(ctx, group, p); err != nil {
				return err
			}
		}
		return nil
	})
	err := s.writeAll(ctx, segments, w, size)
	cancel()
	reading := group.Wait()
	if err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return cmp.Or(reading, err)
}

// read reads the blocks of a segment and has them packed.
func (s *pipeline) read(ctx context.Context, group *errgroup.Group, p ArchiveBlocks) (err error) {
	if p.blocks == nil {
		return nil
	}
	c := p.blocks[0].archive.cursor()
	defer func() { err = errors.Join(err, c.close()) }()
	for _, one := range p.blocks {
		if !one.streamed || one.large() {
			continue
		}
		f := &pendingBlock{block: one, ready: make(chan struct{}), size: bufferFor(one.size())}
		if err := s.room.Acquire(ctx, f.occupies()); err != nil {
			return err
		}
		f.raw = s.buffer(f)[:one.size()]
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
			return s.pack(ctx, p.Compression, f)
		})
		select {
		case s.pending <- f:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// large reports whether a block is not held in memory.
func (b *block) large() bool { return b.size() > streamWhole }

// bufferFor is the size of the buffers for a block: of small ones, of the largest that lz4 has, or
// its own. A packed block of lz4 has its size before it, and may be larger than its content.
func bufferFor(size int64) int {
	for _, most := range []int{streamSmall, compress.LZ4LegacyBlock} {
		if size <= int64(most) {
			return 4 + lz4.CompressBlockBound(most)
		}
	}
	return int(size)
}

// occupies is how much memory the buffers of a pending block take.
func (f *pendingBlock) occupies() int64 { return 2 * int64(f.size) }

// buffer is memory for a pending block.
func (s *pipeline) buffer(f *pendingBlock) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []byte
	if n := len(s.free[f.size]); n > 0 {
		out, s.free[f.size] = s.free[f.size][n-1], s.free[f.size][:n-1]
	} else {
		out = make([]byte, f.size)
	}
	f.buffers = append(f.buffers, out)
	return out
}

// release takes back the memory of a pending block.
func (s *pipeline) release(f *pendingBlock) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.size <= bufferFor(compress.LZ4LegacyBlock) {
		s.free[f.size] = append(s.free[f.size], f.buffers...)
	}
	s.room.Release(f.occupies())
}

// pack compresses a block that was read.
func (s *pipeline) pack(ctx context.Context, c compress.Compression, f *pendingBlock) (err error) {
	switch {
	case c == compress.None:
		f.packed = f.raw
	case s.effort == compress.Careful:
		f.packed, err = s.careful(ctx, c, f.block, f.raw, s.done)
		return err
	case c == compress.LZ4:
		f.packed, err = s.lz4Block(f)
	default:
		f.packed, err = s.archive(c, f)
	}
	if err != nil {
		return fmt.Errorf("compress with %v: %w", c, err)
	}
	s.done(len(f.raw))
	return ctx.Err()
}

// lz4Block is a quickly packed block of lz4 after its size.
func (s *pipeline) lz4Block(f *pendingBlock) ([]byte, error) {
	z, ok := s.lz4.Get().(*lz4.Compressor)
	if !ok {
		z = new(lz4.Compressor)
	}
	defer s.lz4.Put(z)
	out := s.buffer(f)
	n, err := z.CompressBlock(f.raw, out[4:])
	if err != nil {
		return nil, err
	}
	binary.LittleEndian.PutUint32(out, uint32(n)) //nolint:gosec // at most a little over 8 MiB
	return out[:4+n], nil
}

// A resettable compressor can be used again, which spares its tables and windows.
type resettable interface{ Reset(w io.Writer) }

// archive is a quickly packed frame, member or stream.
func (s *pipeline) archive(c compress.Compression, f *pendingBlock) ([]byte, error) {
	out := bytes.NewBuffer(s.buffer(f)[:0])
	z, ok := s.again.Get().(io.WriteCloser)
	if ok {
		z.(resettable).Reset(out) //nolint:forcetypeassert // only such are put there
	} else {
		var err error
		if z, err = compress.NewWriter(out, c, compress.Quick); err != nil {
			return nil, err
		}
	}
	_, err := z.Write(f.raw)
	err = errors.Join(err, z.Close())
	if _, ok := z.(resettable); ok && err == nil {
		s.again.Put(z)
	}
	return out.Bytes(), err
}

// writeAll writes the segments in their order.
func (s *pipeline) writeAll(ctx context.Context, segments []ArchiveBlocks, w io.Writer, size *sizeWriter) error {
	for i, p := range segments {
		if i > 0 {
			if _, err := w.Write(make([]byte, gap(size.n, segments[i-1].Compression))); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
		}
		if p.blocks == nil {
			if _, err := io.Copy(w, io.NewSectionReader(p.Source, 0, p.Source.Size)); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
			continue
		}
		if p.Compression == compress.LZ4 {
			if _, err := w.Write(binary.LittleEndian.AppendUint32(nil, compress.LZ4LegacyMagic)); err != nil {
				return fmt.Errorf("write image: %w", err)
			}
		}
		for _, one := range p.blocks {
			if err := s.writeBlock(ctx, p.Compression, one, w); err != nil {
				return err
			}
		}
	}
	return ctx.Err()
}

// writeBlock writes one block.
func (s *pipeline) writeBlock(ctx context.Context, c compress.Compression, one *block, w io.Writer) error {
	switch {
	case !one.streamed:
		if _, err := w.Write(one.packed); err != nil {
			return fmt.Errorf("write image: %w", err)
		}
		return nil
	case one.large():
		return s.writeLarge(ctx, c, one, w)
	}
	f, ok := <-s.pending
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
	s.release(f)
	return nil
}

// writeLarge reads, compresses and writes an archive by pieces.
func (s *pipeline) writeLarge(ctx context.Context, c compress.Compression, one *block, w io.Writer) (err error) {
	from := one.archive.cursor()
	defer func() { err = errors.Join(err, from.close()) }()
	z, err := compress.NewWriter(w, c, s.effort)
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

// A sizeWriter counts what is written to it.
type sizeWriter struct{ n int64 }

func (w *sizeWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
}
