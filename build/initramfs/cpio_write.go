package initramfs

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sort"
	"time"
)

// A cpioArchive is a cpio archive to be, in the format newc ("070701",
// Documentation/driver-api/early-userspace/buffer-format.rst). Where everything lies in it
// follows from names and sizes, so that any stretch of it can be made when it is wanted, and no
// content need be in memory: u-root's writer makes an archive from its beginning to its end only.
type cpioArchive struct {
	records []record
	size    int64 // with the trailer
	mtime   uint32
}

// A record is a file in its place in an archive.
type record struct {
	Entry
	ino, nlink uint32
	bytes      int64 // of content here: of hard links only the last has it
	at         int64 // where its header begins
	from, end  int64 // its content
}

// newArchive lays out files as an archive: one time, inode numbers counted from 1. Files of one
// group are names of one inode; the last has the content, as with GNU cpio. The kernel writes it
// through whichever of them it reads (init/initramfs.c, maybe_link and do_name), and forgets
// all names at the end of an archive: a group must not be in several.
func newArchive(files []Entry, mtime time.Time) (*cpioArchive, error) {
	seconds := mtime.Unix()
	if seconds < 0 || seconds > math.MaxUint32 {
		return nil, fmt.Errorf("write cpio: time %v does not fit a cpio archive (1970 to 2106)", mtime.UTC())
	}
	a := &cpioArchive{records: make([]record, len(files)), mtime: uint32(seconds)}
	type names struct {
		first, last int
		count       uint32
	}
	groups := make(map[int]names)
	for i, f := range files {
		if f.Group != 0 {
			g, ok := groups[f.Group]
			if !ok {
				g.first = i
			}
			groups[f.Group] = names{first: g.first, last: i, count: g.count + 1}
		}
	}
	for i, f := range files {
		switch {
		case f.size() > math.MaxUint32:
			return nil, fmt.Errorf("write cpio: /%s has %d bytes, an archive holds 4 GiB a file", f.Name, f.size())
		case len(f.Name)+1 > cpioMaxName:
			return nil, fmt.Errorf("write cpio: /%.60s and so on is a path of %d bytes, and the kernel takes %d",
				f.Name, len(f.Name), cpioMaxName-1)
		case f.Name == cpioTrailer:
			return nil, fmt.Errorf("write cpio: a file /%s would end the archive: rename it, or leave it out "+
				"with --exclude", f.Name)
		}
		r := record{
			Entry: f, ino: uint32(i + 1), nlink: 1, bytes: f.size(),
			at: a.size,
		} //nolint:gosec // fewer files than that
		if f.Mode&TypeMask == TypeDir {
			r.nlink = 2
		}
		if g, ok := groups[f.Group]; ok {
			r.ino, r.nlink = uint32(g.first+1), g.count //nolint:gosec // as above
			if i != g.last {
				r.bytes = 0
			}
		}
		r.from = padded(r.at + cpioHeader + int64(len(f.Name)) + 1)
		r.end = r.from + r.bytes
		a.records[i], a.size = r, padded(r.end)
	}
	a.size = padded(a.size + cpioHeader + int64(len(cpioTrailer)) + 1)
	return a, nil
}

// find is the record at an offset, with what pads it; their number for the trailer.
func (a *cpioArchive) find(at int64) int {
	return sort.Search(len(a.records), func(i int) bool { return padded(a.records[i].end) > at })
}

// padded is the next multiple of 4.
func padded(n int64) int64 { return (n + 3) &^ 3 }

// header is the header of a record with its name, up to its content.
func (a *cpioArchive) header(i int) []byte {
	if i == len(a.records) {
		return newcHeader(record{Entry: Entry{Name: cpioTrailer}}, 0)
	}
	return newcHeader(a.records[i], a.mtime)
}

func newcHeader(r record, mtime uint32) []byte {
	out := make([]byte, 0, padded(cpioHeader+int64(len(r.Name))+1))
	out = append(out, "070701"...)
	for _, v := range []uint32{
		r.ino, r.Mode, r.UID, r.GID, r.nlink, mtime, uint32(r.bytes), //nolint:gosec // checked in newArchive
		0, 0, r.Major, r.Minor, uint32(len(r.Name) + 1), 0, //nolint:gosec // checked in newArchive
	} {
		out = fmt.Appendf(out, "%08X", v)
	}
	out = append(out, r.Name...)
	return append(out, make([]byte, padded(int64(len(out))+1)-int64(len(out)))...)
}

// WriteCPIO writes files as a newc archive.
func WriteCPIO(w io.Writer, files []Entry, mtime time.Time) error {
	a, err := newArchive(files, mtime)
	if err != nil {
		return err
	}
	c := a.cursor()
	defer c.close() //nolint:errcheck // nothing was written to what is read
	if _, err := io.Copy(w, c); err != nil {
		return fmt.Errorf("write cpio: %w", err)
	}
	return nil
}

// A cursor reads an archive, from any place on. A source that it comes to is open until its last
// byte has been read.
type cursor struct {
	a    *cpioArchive
	at   int64
	open *sourceFile
}

func (a *cpioArchive) cursor() *cursor { return &cursor{a: a} }

// seek goes on at an offset. A source that is open is left.
func (c *cursor) seek(at int64) error {
	if c.at == at {
		return nil
	}
	c.at = at
	return c.close()
}

func (c *cursor) close() error {
	open := c.open
	c.open = nil
	if open == nil {
		return nil
	}
	return open.close()
}

// Read fills p as far as the archive goes.
func (c *cursor) Read(p []byte) (int, error) {
	if c.at >= c.a.size {
		return 0, io.EOF
	}
	done := 0
	for i := c.a.find(c.at); done < len(p) && i <= len(c.a.records); i++ {
		n, err := c.record(i, p[done:])
		done += n
		if err != nil {
			return done, err
		}
	}
	return done, nil
}

// place is where a record begins, and from where to where its content lies; of the trailer, which
// has none, for the number after the last.
func (a *cpioArchive) place(i int) (at, from, end int64) {
	switch {
	case i < len(a.records):
		return a.records[i].at, a.records[i].from, a.records[i].end
	case i > 0:
		at = padded(a.records[i-1].end)
	}
	return at, a.size, a.size
}

// record reads of record i what p holds, from the cursor on.
func (c *cursor) record(i int, p []byte) (int, error) {
	at, from, end := c.a.place(i)
	done := 0
	take := func(what []byte) {
		n := copy(p[done:], what)
		done += n
		c.at += int64(n)
	}
	if c.at < from && done < len(p) {
		take(c.a.header(i)[c.at-at:])
	}
	if c.at >= from && c.at < end && done < len(p) {
		r := &c.a.records[i]
		if r.Source == nil {
			take(r.Data[c.at-from:])
		} else {
			n, err := c.content(r, p[done:])
			done += n
			if err != nil {
				return done, err
			}
		}
	}
	if c.at >= end && done < len(p) {
		take(make([]byte, padded(end)-c.at))
	}
	return done, nil
}

// content reads of the source of a record.
func (c *cursor) content(r *record, p []byte) (int, error) {
	if c.open == nil {
		if c.at != r.from {
			return 0, errors.New("read " + r.Source.At + ": not from its beginning") // sources are read once, in order
		}
		open, err := openSource(r.Source)
		if err != nil {
			return 0, err
		}
		c.open = open
	}
	p = p[:min(int64(len(p)), r.end-c.at)]
	done := 0
	for done < len(p) {
		n, err := c.open.Read(p[done:])
		if r.Source.Sums != nil {
			r.Source.Sums.Add(p[done : done+n])
		}
		done += n
		c.at += int64(n)
		if err != nil {
			return done, err
		}
	}
	if c.at < r.end {
		return done, nil
	}
	open := c.open
	c.open = nil
	return done, open.end()
}
