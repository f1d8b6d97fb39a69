package initramfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/escape"
)

// A cpioReader reads a newc archive from a stream, as init/initramfs.c does: magic
// 070701, or 070702 with checksums. u-root's reader trusts the lengths in the headers
// and needs a file to seek in, so it is used only for what mkuimage made.
type cpioReader struct {
	r       io.Reader
	at      int64 // offset in the stream
	left    int64 // content not read yet
	checked bool  // the content has a checksum that the kernel compares
	name    string
	want    uint32 // the checksum
	sum     uint32 // of the content read so far: its bytes added up
	buf     []byte // for content that nobody wants
	scratch []byte // for headers and names
}

// A cpioEntry is a header of an archive.
type cpioEntry struct {
	name               string
	mode               uint32
	size               int64
	mtime              uint32
	uid, gid           uint32
	ino, nlink         uint32
	devMajor, devMinor uint32 // of the file system it came from
	major, minor       uint32 // of a device
	checksums          bool   // the archive is one with checksums
}

// begin makes it read another archive.
func (c *cpioReader) begin(r io.Reader) {
	*c = cpioReader{r: r, buf: c.buf, scratch: c.scratch}
}

// room is memory for n bytes until it is asked for again.
func (c *cpioReader) room(n int) []byte {
	if n > len(c.scratch) {
		c.scratch = make([]byte, max(n, 512))
	}
	return c.scratch[:n]
}

var errNotCPIO = errors.New("no cpio archive (newc)")

// next returns the header of the next file, and io.EOF after the trailer.
func (c *cpioReader) next() (cpioEntry, error) {
	if err := c.finish(); err != nil {
		return cpioEntry{}, err
	}
	if err := c.align(); err != nil {
		return cpioEntry{}, err
	}
	header := c.room(cpioHeader)
	start := c.at
	if err := c.full(header); err != nil {
		return cpioEntry{}, err
	}
	magic := string(header[:6])
	if magic != "070701" && magic != "070702" {
		return cpioEntry{}, fmt.Errorf("%w at byte %d: %q instead of 070701", errNotCPIO, start, magic)
	}
	var field [13]uint32
	for i := range field {
		v, ok := hex32(header[6+8*i:][:8])
		if !ok {
			return cpioEntry{}, fmt.Errorf("%w at byte %d: %q is not a hexadecimal number",
				errNotCPIO, start, header[6+8*i:][:8])
		}
		field[i] = v
	}
	e := cpioEntry{
		ino: field[0], mode: field[1], uid: field[2], gid: field[3], nlink: field[4], mtime: field[5],
		size: int64(field[6]), devMajor: field[7], devMinor: field[8], major: field[9], minor: field[10],
		checksums: magic == "070702",
	}
	if field[11] == 0 || field[11] > cpioMaxName {
		return cpioEntry{}, fmt.Errorf("read cpio at byte %d: a name of %d bytes, the kernel takes 1 to %d",
			start, field[11], cpioMaxName)
	}
	name := c.room(int(field[11]))
	if err := c.full(name); err != nil {
		return cpioEntry{}, err
	}
	if name[len(name)-1] != 0 {
		return cpioEntry{}, fmt.Errorf("read cpio at byte %d: a name without a zero byte at its end, which the "+
			"kernel refuses (\"malformed archive\")", start)
	}
	if err := c.align(); err != nil {
		return cpioEntry{}, err
	}
	name, _, _ = bytes.Cut(name, []byte{0})
	e.name = string(name)
	if e.name == cpioTrailer {
		return cpioEntry{}, io.EOF
	}
	c.left, c.name = e.size, e.name
	c.checked = e.checksums && e.mode&TypeMask == TypeFile // as do_copy of the kernel
	c.want, c.sum = field[12], 0
	return e, nil
}

// Read reads the content of the current file.
func (c *cpioReader) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(p[:min(int64(len(p)), c.left)])
	c.at += int64(n)
	c.left -= int64(n)
	if c.checked {
		for _, b := range p[:n] {
			c.sum += uint32(b)
		}
	}
	if n > 0 && errors.Is(err, io.EOF) {
		err = nil
	}
	return n, c.short(err)
}

// WriteTo writes the rest of the content to w. io.Copy would take a buffer for each file.
func (c *cpioReader) WriteTo(w io.Writer) (n int64, err error) {
	if c.buf == nil {
		c.buf = make([]byte, compress.InputBuffer)
	}
	for c.left > 0 {
		m, err := c.Read(c.buf)
		if err == nil {
			m, err = w.Write(c.buf[:m])
		}
		if n += int64(m); err != nil {
			return n, err
		}
	}
	return n, nil
}

// finish goes over what was not read of the current file.
func (c *cpioReader) finish() error {
	if c.checked {
		if _, err := c.WriteTo(io.Discard); err != nil {
			return err
		}
		c.checked = false
		if c.sum != c.want {
			return fmt.Errorf("the checksum of /%s is %08x, and its header says %08x: the kernel refuses it (\"bad "+
				"data checksum\")", escape.Text(c.name), c.sum, c.want)
		}
		return nil
	}
	n := c.left
	c.left = 0
	return c.skip(n)
}

// content reads at most limit bytes of the current file.
func (c *cpioReader) content(limit int64) ([]byte, error) {
	buf := make([]byte, min(limit, c.left))
	_, err := io.ReadFull(c, buf)
	return buf, c.short(err)
}

// full reads what belongs to a header.
func (c *cpioReader) full(buf []byte) error {
	n, err := io.ReadFull(c.r, buf)
	c.at += int64(n)
	return c.short(err)
}

func (c *cpioReader) skip(n int64) error {
	if n == 0 {
		return nil
	}
	if s, ok := c.r.(compress.Skipper); ok {
		m, err := s.Skip(n)
		c.at += m
		return c.short(err)
	}
	m, err := io.CopyN(io.Discard, c.r, n)
	c.at += m
	return c.short(err)
}

func (c *cpioReader) align() error { return c.skip(-c.at & 3) }

// short explains an end in the middle.
func (c *cpioReader) short(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("read cpio: the archive ends at byte %d, before its trailer: the image is cut off", c.at)
	}
	return err
}

func hex32(digits []byte) (uint32, bool) {
	v := uint32(0)
	for _, d := range digits {
		switch {
		case d >= '0' && d <= '9':
			d -= '0'
		case d >= 'a' && d <= 'f':
			d -= 'a' - 10
		case d >= 'A' && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		v = v<<4 | uint32(d)
	}
	return v, true
}
