package initramfs

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/magic"
	"github.com/nodisk/nodisk/internal/quantity"
)

// scanMaxRaw bounds what is read of an image, unpacked: it may be anybody's.
const scanMaxRaw = 16 << 30

// An Amount is what of an image is kept in memory while it is read.
type Amount struct {
	entries int64 // of its archives: files, and each archive's trailer
	names   int64 // bytes of files' names and links' targets
}

// limitsOf is how much an image of so many bytes may have. A few kilobytes unpack to millions of files, so
// that the memory of a reader must be bounded by what the file has, above 256 MiB that every one may cost. Of
// a real tree, a file takes more than 8 bytes even if it is empty and all is compressed.
func limitsOf(bytes int64) Amount {
	return Amount{entries: 1<<18 + bytes/8, names: 64<<20 + 16*bytes}
}

// exceeds says what there is more of than limits allow for an image of so many bytes; nil: nothing.
func (a Amount) exceeds(limits Amount, bytes int64) error {
	switch {
	case a.entries > limits.entries:
		return fmt.Errorf("more than %d files and archives in an image of %s%s", limits.entries, quantity.Bytes(bytes),
			hollow)
	case a.names > limits.names:
		return fmt.Errorf("more than %d MiB of file names and links' targets in an image of %s%s",
			limits.names>>20, quantity.Bytes(bytes), hollow)
	}
	return nil
}

const hollow = ": it could be made to fill its reader's memory"

// A scan is one pass through an image, in the order in which the kernel reads it.
type scan struct {
	maxRaw int64
	// entry is given every entry of the archives; content is what the entry has, and may
	// be read as far as it is wanted. errEnough ends the scan.
	entry func(e cpioEntry, content *cpioReader, from int64) error
	// segment is told of every segment that has been read to its end, with what its blocks
	// unpack to.
	segment func(s Segment, blocks []compress.BlockSize)

	size     int64 // of the image's file
	limits   Amount
	has      Amount
	reader   cpioReader
	raw      int64
	archives int // how many have begun
	last     Segment
	packed   int64 // what the last segment takes, without what pads it
	segments int
}

// errEnough ends a scan early: all that was wanted has been read.
var errEnough = errors.New("enough has been read")

// A Damage is where an image cannot be read, and why.
type Damage struct {
	segments int   // that were read before
	Offset   int64 // in the image's file
	err      error
}

// Error begins with the place, to be put after a verb.
func (d *Damage) Error() string {
	if d.segments == 0 {
		return ": " + d.err.Error()
	}
	return fmt.Sprintf(" at byte %d, after %s: %v", d.Offset, quantity.Plural(d.segments, "valid segment"), d.err)
}

func (d *Damage) Unwrap() error { return d.err }

// run reads all segments. Its errors are damages.
func (c *scan) run(ctx context.Context, src *Source) error {
	c.size, c.limits = src.Size, limitsOf(src.Size)
	in := compress.NewInput(ctx, src, src.Size)
	d := compress.NewDecompressors(in)
	defer d.Close()
	head, err := in.Head(0x206)
	if err != nil {
		return &Damage{err: err}
	}
	if magic.At(head, 0x202, "HdrS") || magic.At(head, 0x38, "ARM\x64") {
		return &Damage{err: errors.New("it is a kernel, not its initramfs")}
	}
	for {
		gap := in.Offset()
		err := in.SkipZeroes()
		offset := in.Offset()
		if c.segments > 0 {
			c.last.Bytes += offset - gap
		}
		if err == nil && offset >= src.Size {
			if c.segments == 0 {
				return &Damage{err: errors.New("it is empty")}
			}
			c.flush(d)
			return nil
		}
		c.flush(d)
		if err == nil {
			err = c.one(in, d, offset)
		}
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return &Damage{segments: c.segments, Offset: offset, err: err}
		}
	}
}

// flush reports the last segment when all that pads it is known.
func (c *scan) flush(d *compress.Decompressors) {
	if c.segments == 0 || c.last.Bytes == 0 {
		return
	}
	if c.segment != nil {
		blocks := []compress.BlockSize{{Raw: c.last.Raw, Packed: c.packed}}
		if c.last.Compression == compress.LZ4 {
			blocks = d.Blocks()
		}
		c.segment(c.last, blocks)
	}
	c.last = Segment{Compression: c.last.Compression}
}

// one reads the segment that begins at offset.
func (c *scan) one(in *compress.Input, d *compress.Decompressors, offset int64) error {
	head, err := in.Head(compress.DetectLength)
	if err != nil {
		return err
	}
	compression, err := compress.Detect(head)
	if err != nil {
		return err
	}
	switch {
	case offset&3 == 0:
	case compression == compress.None:
		return errors.New("a plain cpio archive that does not begin at a multiple of 4, where the kernel does not " +
			"see it: pad what is before it with zeroes")
	case c.segments > 0 && c.last.Compression == compress.None:
		return errors.New("what follows a plain cpio archive does not begin at a multiple of 4, and the kernel stops " +
			"there (\"broken padding\"): pad the archive with zeroes")
	}
	stream, end, err := d.Open(compression)
	if err != nil {
		return fmt.Errorf("unpack %v: %w", compression, err)
	}
	limited := &limitReader{r: stream, left: c.maxRaw - c.raw}
	if compression == compress.None {
		err = c.archive(limited)
	} else {
		// In a compressed segment more archives may follow the first.
		for err == nil {
			if err = c.archive(limited); err == nil {
				err = limited.skipZeroes()
			}
			if err == nil && limited.place()&3 != 0 {
				err = errors.New("an archive in it does not begin at a multiple of 4, and the kernel stops there " +
					"(\"broken padding\")")
			}
		}
		if errors.Is(err, errEnd) {
			err = nil
		}
	}
	if err != nil {
		return fmt.Errorf("%v: %w", compression, err)
	}
	end()
	size := in.Offset() - offset
	c.last = Segment{Offset: offset, Bytes: size, Raw: limited.read, Compression: compression}
	c.packed = size
	c.raw += limited.read
	c.segments++
	return nil
}

// archive reads one cpio archive to its trailer.
func (c *scan) archive(r *limitReader) error {
	reader := &c.reader
	reader.begin(r)
	start := r.place()
	c.archives++
	for {
		from := start + reader.at + reader.left
		e, err := reader.next()
		end := errors.Is(err, io.EOF)
		if err != nil && !end {
			return err
		}
		if err := c.count(Amount{entries: 1, names: int64(len(e.name))}); err != nil || end {
			return err
		}
		if err := c.entry(e, reader, from+-from&3); err != nil {
			return err
		}
	}
}

// count adds to what the image has.
func (c *scan) count(more Amount) error {
	c.has.entries += more.entries
	c.has.names += more.names
	return c.has.exceeds(c.limits, c.size)
}

var errEnd = errors.New("end of segment")

// A limitReader counts and bounds what a segment unpacks to.
type limitReader struct {
	r      io.Reader
	read   int64
	left   int64
	peeked []byte
	ahead  []byte // what peeked is of
	buf    []byte
}

// place is how much was read by whoever reads from here.
func (l *limitReader) place() int64 { return l.read - int64(len(l.peeked)) }

// Read implements io.Reader.
func (l *limitReader) Read(p []byte) (int, error) {
	if len(l.peeked) > 0 {
		n := copy(p, l.peeked)
		l.peeked = l.peeked[n:]
		return n, nil
	}
	if l.left <= 0 {
		return 0, errTooLarge
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.read += int64(n)
	l.left -= int64(n)
	return n, err
}

var errTooLarge = errors.New("it unpacks to more than an initramfs can be")

// Skip goes over n bytes.
func (l *limitReader) Skip(n int64) (int64, error) {
	s, ok := l.r.(compress.Skipper)
	if ok && len(l.peeked) == 0 {
		if n > l.left {
			return 0, errTooLarge
		}
		m, err := s.Skip(n)
		l.read += m
		l.left -= m
		return m, err
	}
	if l.buf == nil {
		l.buf = make([]byte, min(max(n, 512), compress.InputBuffer))
	}
	if n > int64(len(l.buf)) && len(l.buf) < compress.InputBuffer {
		l.buf = make([]byte, compress.InputBuffer)
	}
	skipped := int64(0)
	for skipped < n {
		m, err := l.Read(l.buf[:min(int64(len(l.buf)), n-skipped)])
		skipped += int64(m)
		if err != nil && skipped < n {
			return skipped, err
		}
	}
	return skipped, nil
}

// skipZeroes goes over what pads an archive, and returns errEnd if there is
// nothing else.
func (l *limitReader) skipZeroes() error {
	if l.ahead == nil {
		l.ahead = make([]byte, 512)
	}
	for {
		n, err := l.Read(l.ahead) // all of peeked, if there is something
		if i := compress.Zeroes(l.ahead[:n]); i < n {
			l.peeked = l.ahead[i:n]
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errEnd
		}
		if err != nil {
			return err
		}
	}
}
