package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/u-root/u-root/pkg/cpio"
)

// writeCPIO writes files as a newc archive ("070701",
// Documentation/driver-api/early-userspace/buffer-format.rst): owner root, one time, inode
// numbers counted from 1. It returns where the content of each file ends, in bytes
// from the beginning of the archive, before its padding.
func writeCPIO(w io.Writer, files []file, mtime time.Time) ([]int, error) {
	seconds := mtime.Unix()
	if seconds < 0 || seconds > math.MaxUint32 {
		return nil, fmt.Errorf("write cpio: time %v does not fit a cpio archive (1970 to 2106)", mtime.UTC())
	}
	records := cpio.Newc.Writer(w)
	ends := make([]int, len(files))
	at := 0
	for i, f := range files {
		if len(f.data) > math.MaxUint32 {
			return nil, fmt.Errorf("write cpio: /%s has %d bytes, an archive holds 4 GiB a file", f.name, len(f.data))
		}
		r := cpio.Record{Info: cpio.Info{
			Ino: uint64(i + 1), Mode: uint64(f.mode), NLink: 1, MTime: uint64(seconds),
			FileSize: uint64(len(f.data)), Rmajor: uint64(f.major), Rminor: uint64(f.minor), Name: f.name,
		}}
		if f.mode&typeMask == typeDir {
			r.NLink = 2
		}
		if len(f.data) > 0 {
			r.ReaderAt = bytes.NewReader(f.data)
		}
		if err := records.WriteRecord(r); err != nil {
			return nil, fmt.Errorf("write cpio: /%s: %w", f.name, err)
		}
		at += cpioHeader + len(f.name) + 1
		at += -at&3 + len(f.data)
		ends[i] = at
		at += -at & 3
	}
	if err := cpio.WriteTrailer(records); err != nil {
		return nil, fmt.Errorf("write cpio: %w", err)
	}
	return ends, nil
}

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
