package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Limits of the kernel's reader (init/initramfs.c) and of ours.
const (
	cpioHeader  = 110
	cpioMaxName = 4096 // PATH_MAX
	cpioMaxLink = 4096
)

const cpioTrailer = "TRAILER!!!"

// A cpioReader reads a newc archive from a stream. u-root's reader trusts the
// lengths in the headers and needs a file to seek in.
type cpioReader struct {
	r    io.Reader
	at   int64 // offset in the stream
	left int64 // content not read yet
}

type cpioEntry struct {
	name         string
	mode         uint32
	size         int64
	mtime        uint32
	uid, gid     uint32
	ino, nlink   uint32
	major, minor uint32
}

var errNotCPIO = errors.New("no cpio archive (newc)")

// next returns the header of the next file, and io.EOF behind the trailer.
func (c *cpioReader) next() (cpioEntry, error) {
	if err := c.skip(c.left); err != nil {
		return cpioEntry{}, err
	}
	c.left = 0
	if err := c.align(); err != nil {
		return cpioEntry{}, err
	}
	var header [cpioHeader]byte
	start := c.at
	if err := c.full(header[:]); err != nil {
		return cpioEntry{}, err
	}
	if magic := string(header[:6]); magic != "070701" && magic != "070702" {
		return cpioEntry{}, fmt.Errorf("%w at byte %d: %q instead of 070701", errNotCPIO, start, magic)
	}
	var field [13]uint32
	for i := range field {
		v, ok := hex32(header[6+8*i:][:8])
		if !ok {
			return cpioEntry{}, fmt.Errorf("%w at byte %d: %q is no hexadecimal number", errNotCPIO, start, header[6+8*i:][:8])
		}
		field[i] = v
	}
	e := cpioEntry{
		ino: field[0], mode: field[1], uid: field[2], gid: field[3], nlink: field[4], mtime: field[5],
		size: int64(field[6]), major: field[9], minor: field[10],
	}
	if field[11] == 0 || field[11] > cpioMaxName {
		return cpioEntry{}, fmt.Errorf("read cpio at byte %d: a name of %d bytes, the kernel takes 1 to %d", start, field[11], cpioMaxName)
	}
	name := make([]byte, field[11])
	if err := c.full(name); err != nil {
		return cpioEntry{}, err
	}
	if err := c.align(); err != nil {
		return cpioEntry{}, err
	}
	name, _, _ = bytes.Cut(name, []byte{0})
	e.name = string(name)
	if e.name == cpioTrailer {
		return cpioEntry{}, io.EOF
	}
	c.left = e.size
	return e, nil
}

// content reads at most limit bytes of the current file.
func (c *cpioReader) content(limit int64) ([]byte, error) {
	buf := make([]byte, min(limit, c.left))
	c.left -= int64(len(buf))
	return buf, c.full(buf)
}

func (c *cpioReader) full(buf []byte) error {
	n, err := io.ReadFull(c.r, buf)
	c.at += int64(n)
	return c.short(err)
}

func (c *cpioReader) skip(n int64) error {
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
