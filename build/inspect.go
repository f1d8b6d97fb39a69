package build

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// Limits of Inspect.
const (
	inspectMaxImage  = 1 << 30
	inspectMaxRaw    = 8 << 30
	inspectMaxFiles  = 1 << 18
	inspectMaxConfig = 1 << 20
)

// Contents are what is in an image.
type Contents struct {
	Bytes    int64 // of the image's file
	Raw      int64 // unpacked
	Segments []Segment
	Files    []File   // in the order of the archive
	Config   string   // of etc/nodisk/nodisk.conf; a later segment's replaces it
	Profiles []string // as the config names them
	Releases []string // of the kernels whose modules are inside
	Flat     []Folder // of modules without index
	Parts    []PartSize
}

// A Folder is a folder of lib/modules that is not a kernel's tree.
type Folder struct {
	Name    string
	Modules []string // by name, in the order of the archive
}

// A Segment is one of the archives an initramfs consists of.
type Segment struct {
	Offset      int64 // where it begins in the image's file
	Bytes       int64 // compressed, with what pads it
	Raw         int64 // unpacked
	Compression Compression
	Files       int
}

// A File is one entry of an archive.
type File struct {
	Name         string // as archived, mostly without a slash at the beginning
	Mode         uint32 // st_mode: type and permissions
	Size         int64
	Packed       int64  // what it takes of the image's file: its share of the block it is in
	Target       string // of a symbolic link
	Major, Minor uint32 // of a device
	Segment      int    // index into Segments
	Part         Part
}

// ModeString renders the mode as ls -l does.
func (f File) ModeString() string {
	kind := map[uint32]byte{
		typeFIFO: 'p', typeChar: 'c', typeDir: 'd', typeBlock: 'b', typeFile: '-', typeLink: 'l',
	}[f.Mode&typeMask]
	if kind == 0 {
		kind = '?'
	}
	out := []byte{kind}
	for i, c := range []byte("rwxrwxrwx") {
		if f.Mode>>(8-i)&1 == 0 {
			c = '-'
		}
		out = append(out, c)
	}
	for bit, special := range map[uint32]struct {
		at   int
		char byte
	}{0o4000: {3, 's'}, 0o2000: {6, 's'}, 0o1000: {9, 't'}} {
		if f.Mode&bit == 0 {
			continue
		}
		if out[special.at] == '-' {
			out[special.at] = special.char - 'a' + 'A'
		} else {
			out[special.at] = special.char
		}
	}
	return string(out)
}

// Inspect reads an image of any make, as the kernel would. It keeps names
// and the config, not the files.
func Inspect(r io.Reader) (Contents, error) {
	data, err := readWhole(r)
	if err != nil {
		return Contents{}, fmt.Errorf("inspect image: %w", err)
	}
	return inspect(data, inspectMaxRaw)
}

// readWhole reads the file of an image.
func readWhole(r io.Reader) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, inspectMaxImage+1))
	if err != nil {
		return nil, err
	}
	if len(data) > inspectMaxImage {
		return nil, fmt.Errorf("more than %d MiB", inspectMaxImage>>20)
	}
	return data, nil
}

// inspect is Inspect with a limit for what may be unpacked.
func inspect(data []byte, maxRaw int64) (Contents, error) {
	var u unpacking
	if err := u.image(data, maxRaw); err != nil {
		return Contents{}, fmt.Errorf("inspect image%w", err)
	}
	u.sum()
	return u.Contents, nil
}

// An unpacking is the way through an image.
type unpacking struct {
	Contents
	// keep, if not nil, is given every entry when its content can be read; that of
	// links has been.
	keep  func(File, cpioEntry, *cpioReader) error
	spans []span // of Files, in their segments
}

// A span is a stretch of an unpacked segment.
type span struct{ from, to int64 }

// image reads all segments. Its errors begin with the place, to be put behind a
// verb.
func (c *unpacking) image(data []byte, maxRaw int64) error {
	if at(data, 0x202, "HdrS") || at(data, 0x38, "ARM\x64") {
		return errors.New(": it is a kernel, not its initramfs")
	}
	c.Bytes = int64(len(data))
	for rest := data; ; {
		offset := len(data) - len(rest)
		body := bytes.TrimLeft(rest, "\x00")
		if len(body) == 0 {
			if len(c.Segments) == 0 {
				return errors.New(": it is empty")
			}
			c.Segments[len(c.Segments)-1].Bytes += int64(len(rest))
			return nil
		}
		if n := len(c.Segments); n > 0 {
			c.Segments[n-1].Bytes += int64(len(rest) - len(body))
			offset += len(rest) - len(body)
		}
		behind, err := c.segment(body, int64(offset), maxRaw)
		if err != nil {
			where := ""
			if len(c.Segments) > 0 {
				where = fmt.Sprintf(" at byte %d, behind %s", offset, plural(len(c.Segments), "good segment"))
			}
			return fmt.Errorf("%s: %w", where, err)
		}
		rest = behind
	}
}

// segment reads the segment data begins with and returns what follows it.
func (c *unpacking) segment(data []byte, offset, maxRaw int64) ([]byte, error) {
	compression, err := detect(data)
	if err != nil {
		return nil, err
	}
	if compression == None && offset&3 != 0 {
		return nil, errors.New("a plain cpio archive that does not begin at a multiple of 4, where the kernel does not see it: pad what is before it with zeroes")
	}
	s, err := openSegment(compression, data)
	if err != nil {
		return nil, fmt.Errorf("unpack %v: %w", compression, err)
	}
	limited := &limitReader{r: s, left: maxRaw - c.Raw}
	before := len(c.Files)
	if compression == None {
		err = c.archive(limited)
	} else {
		// In a compressed segment more archives may follow the first.
		for err == nil {
			if err = c.archive(limited); err == nil {
				err = limited.skipZeroes()
			}
		}
		if errors.Is(err, errEnd) {
			err = nil
		}
	}
	closeStream(s)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", compression, err)
	}
	behind := s.rest()
	c.Segments = append(c.Segments, Segment{
		Offset: offset, Bytes: int64(len(data) - len(behind)), Raw: limited.read,
		Compression: compression, Files: len(c.Files) - before,
	})
	c.Raw += limited.read
	sizes := []packedBlock{{raw: limited.read, packed: int64(len(data) - len(behind))}}
	if l, ok := s.(*lz4Stream); ok {
		sizes = l.sizes
	}
	share(c.Files[before:], c.spans[before:], sizes)
	return behind, nil
}

// archive reads one cpio archive to its trailer.
func (c *unpacking) archive(r *limitReader) error {
	reader := &cpioReader{r: r}
	start := r.read - int64(len(r.peeked))
	for {
		from := start + reader.at + reader.left
		e, err := reader.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(c.Files) >= inspectMaxFiles {
			return fmt.Errorf("more than %d files", inspectMaxFiles)
		}
		name := cleanName(e.name)
		f := File{
			Name: e.name, Mode: e.mode, Size: e.size, Major: e.major, Minor: e.minor,
			Segment: len(c.Segments), Part: partOf(name, e.mode),
		}
		switch {
		case e.mode&typeMask == typeLink:
			target, err := reader.content(cpioMaxLink)
			if err != nil {
				return err
			}
			f.Target = string(target)
		case name == configPath:
			text, err := reader.content(inspectMaxConfig)
			if err != nil {
				return err
			}
			c.Config = string(text)
		}
		if c.keep != nil {
			if err := c.keep(f, e, reader); err != nil {
				return err
			}
		}
		c.Files = append(c.Files, f)
		c.spans = append(c.spans, span{from + -from&3, start + reader.at + reader.left})
	}
}

// sum fills in what follows from files and config.
func (c *Contents) sum() {
	sizes := make(map[Part]PartSize)
	for _, f := range c.Files {
		s := sizes[f.Part]
		sizes[f.Part] = PartSize{Part: f.Part, Files: s.Files + 1, Bytes: s.Bytes + f.Size}
		dir, base := path.Split(ownName(cleanName(f.Name)))
		above, folder := path.Split(path.Clean(dir))
		switch above = path.Clean(above); {
		case above != modulesDir && above != "usr/"+modulesDir:
		case base == "modules.dep":
			c.Releases = append(c.Releases, folder)
		case f.Mode&typeMask != typeDir && modload.IsModule(base):
			i := slices.IndexFunc(c.Flat, func(d Folder) bool { return d.Name == folder })
			if i < 0 {
				i, c.Flat = len(c.Flat), append(c.Flat, Folder{Name: folder})
			}
			c.Flat[i].Modules = append(c.Flat[i].Modules, moduleName(base))
		}
	}
	c.Flat = slices.DeleteFunc(c.Flat, func(d Folder) bool { return slices.Contains(c.Releases, d.Name) })
	c.Parts = sortParts(sizes)
	slices.Sort(c.Releases)
	c.Releases = slices.Compact(c.Releases)
	if args, err := cmdline.ParseConfig(strings.NewReader(c.Config)); err == nil {
		c.Profiles = unique(listOf(args.All("nodisk.profile")))
	}
}

var errEnd = errors.New("end of segment")

// A limitReader counts and bounds what a segment unpacks to.
type limitReader struct {
	r      io.Reader
	read   int64
	left   int64
	peeked []byte
}

func (l *limitReader) Read(p []byte) (int, error) {
	if len(l.peeked) > 0 {
		n := copy(p, l.peeked)
		l.peeked = l.peeked[n:]
		return n, nil
	}
	if l.left <= 0 {
		return 0, errors.New("it unpacks to more than an initramfs can be")
	}
	n, err := l.r.Read(p[:min(int64(len(p)), l.left)])
	l.read += int64(n)
	l.left -= int64(n)
	return n, err
}

// skipZeroes goes over what pads an archive, and returns errEnd if there is
// nothing else.
func (l *limitReader) skipZeroes() error {
	buf := make([]byte, 512)
	for {
		n, err := l.Read(buf)
		if i := bytes.IndexFunc(buf[:n], func(r rune) bool { return r != 0 }); i >= 0 {
			l.peeked = slices.Clone(buf[i:n])
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
