package initramfs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/modload"
)

// inspectMaxConfig bounds the config that is kept.
const inspectMaxConfig = 1 << 20

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
	Warnings []string // what the kernel would make less of than was meant

	Has Amount
}

// A Folder is a directory of lib/modules that is not a kernel's tree.
type Folder struct {
	Name    string
	Modules []string // by name, in the order of the archive
}

// A Segment is one of the archives an initramfs consists of.
type Segment struct {
	Offset      int64 // where it begins in the image's file
	Bytes       int64 // compressed, with what pads it
	Raw         int64 // unpacked
	Compression compress.Compression
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
	UID, GID     uint32
	MTime        uint32 // seconds since 1970
	Ino, NLink   uint32 // hard links are entries of one Ino and an NLink above 1; mostly the last has the content
	Segment      int    // index into Segments
	Part         Part
	Sum          *[sha256.Size]byte // SHA-256 of the content of a regular file, nil if it was not computed

	archive            int32  // of the image, counted: links do not reach from one into another
	devMajor, devMinor uint32 // of the file system it came from; with Ino its identity
}

// ModeString renders the mode as ls -l does.
func (f File) ModeString() string {
	kind := map[uint32]byte{
		TypeFIFO: 'p', TypeChar: 'c', TypeDir: 'd', TypeBlock: 'b', TypeFile: '-', TypeLink: 'l',
	}[f.Mode&TypeMask]
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
// and the config, not the files: memory grows with their number.
func Inspect(r io.Reader) (Contents, error) {
	ctx := context.Background()
	src, err := NewSource(ctx, r)
	if err != nil {
		return Contents{}, fmt.Errorf("inspect image: %w", err)
	}
	c, err := InspectSource(ctx, src, false)
	return c, errors.Join(err, src.Close())
}

// InspectSource is Inspect of a source that is open already, until ctx ends; with sums it computes
// the hashes of the files too.
func InspectSource(ctx context.Context, src *Source, sums bool) (Contents, error) {
	c, err := listing{maxRaw: scanMaxRaw, sums: sums}.read(ctx, src)
	if err != nil {
		return Contents{}, fmt.Errorf("inspect image%w", err)
	}
	return c, nil
}

// A listing is how the contents of an image are to be read.
type listing struct {
	maxRaw int64
	sums   bool // SHA-256 of every regular file
}

// newHash is what its sums are made with, one file after the other; nil if there are none.
func (l listing) newHash() hash.Hash {
	if !l.sums {
		return nil
	}
	return sha256.New()
}

// A span is a stretch of an unpacked segment.
type span struct{ from, to int64 }

// read reads all segments. What it has read before an error is returned too; the
// error begins with the place, to be put after a verb.
func (l listing) read(ctx context.Context, src *Source) (Contents, error) {
	c := Contents{Bytes: src.Size}
	var (
		spans  []span // of the files of the segment that is being read
		before int    // files of the segments before it
		names  = make(map[string]bool)
		sum    = l.newHash()
	)
	s := &scan{maxRaw: l.maxRaw}
	s.segment = func(one Segment, blocks []compress.BlockSize) {
		one.Files = len(spans)
		share(c.Files[before:][:len(spans)], spans, blocks)
		before, spans = before+len(spans), spans[:0]
		c.Segments = append(c.Segments, one)
		c.Raw += one.Raw
	}
	s.entry = func(e cpioEntry, content *cpioReader, from int64) error {
		f, err := c.file(e, content, sum)
		if err != nil {
			return err
		}
		f.Segment, f.archive = s.segments, int32(s.archives) //nolint:gosec // fewer than files
		if err := s.count(Amount{names: int64(len(f.Target))}); err != nil {
			return err
		}
		c.warn(names, e)
		c.Files = append(c.Files, f)
		spans = append(spans, span{from, from + cpioHeader + int64(len(e.name)) + 1 + 3 + e.size})
		return nil
	}
	err := s.run(ctx, src)
	c.Has = s.has
	if err != nil {
		return c, err
	}
	c.sum()
	return c, nil
}

// file makes a File of an entry. It reads targets, the config, and what is to be hashed: nothing if sum is nil.
func (c *Contents) file(e cpioEntry, content *cpioReader, sum hash.Hash) (File, error) {
	name := CleanName(e.name)
	f := File{
		Name: e.name, Mode: e.mode, Size: e.size, Major: e.major, Minor: e.minor, Part: partOf(name, e.mode),
		UID: e.uid, GID: e.gid, MTime: e.mtime, Ino: e.ino, NLink: e.nlink, devMajor: e.devMajor, devMinor: e.devMinor,
	}
	switch e.mode & TypeMask {
	case TypeLink:
		target, err := content.content(cpioMaxLink)
		f.Target = string(target)
		return f, err
	case TypeFile:
	default:
		return f, nil
	}
	if sum != nil {
		sum.Reset()
	}
	if name == ConfigPath {
		text, err := content.content(inspectMaxConfig)
		if err != nil {
			return f, err
		}
		c.Config = string(text)
		if sum != nil {
			_, _ = sum.Write(text) // a hash takes everything
		}
	}
	if sum != nil {
		if _, err := io.Copy(sum, content); err != nil {
			return f, err
		}
		f.Sum = (*[sha256.Size]byte)(sum.Sum(nil))
	}
	return f, nil
}

// warn names entries that the kernel passes over silently (do_header in
// init/initramfs.c), of each kind once.
func (c *Contents) warn(told map[string]bool, e cpioEntry) {
	kind, text := "", ""
	switch {
	case e.passedOver() && e.mode&TypeMask == TypeLink:
		kind, text = "link", fmt.Sprintf("the kernel passes over /%s: the target of a link has at most %d bytes, "+
			"and this one %d", escape.Text(CleanName(e.name)), cpioMaxLink, e.size)
	case e.passedOver():
		kind, text = "content", fmt.Sprintf("the kernel passes over /%s: it is not a regular file and has content",
			escape.Text(CleanName(e.name)))
	case e.checksums:
		kind, text = "checksums", "an archive with checksums (070702): Linux before 5.19 refuses it"
	}
	if kind != "" && !told[kind] {
		told[kind] = true
		c.Warnings = append(c.Warnings, text)
	}
}

// passedOver reports whether the kernel makes nothing of an entry.
func (e cpioEntry) passedOver() bool {
	switch e.mode & TypeMask {
	case TypeFile:
		return false
	case TypeLink:
		return e.size > cpioMaxLink
	}
	return e.size > 0
}

// sum fills in what follows from files and config.
func (c *Contents) sum() {
	sizes := make(map[Part]PartSize)
	flat := make(map[string]int) // indexes into Flat
	releases := make(map[string]bool)
	for _, f := range c.Files {
		s := sizes[f.Part]
		sizes[f.Part] = PartSize{Part: f.Part, Files: s.Files + 1, Bytes: s.Bytes + f.Size}
		dir, base := path.Split(ownName(CleanName(f.Name)))
		above, folder := path.Split(path.Clean(dir))
		switch above = path.Clean(above); {
		case above != ModulesDir && above != "usr/"+ModulesDir:
		case base == "modules.dep":
			releases[folder] = true
		case f.Mode&TypeMask != TypeDir && modload.IsModule(base):
			i, ok := flat[folder]
			if !ok {
				i, c.Flat = len(c.Flat), append(c.Flat, Folder{Name: folder})
				flat[folder] = i
			}
			c.Flat[i].Modules = append(c.Flat[i].Modules, ko.ModuleName(base))
		}
	}
	c.Flat = slices.DeleteFunc(c.Flat, func(d Folder) bool { return releases[d.Name] })
	c.Parts = SortParts(sizes)
	for release := range releases {
		c.Releases = append(c.Releases, release)
	}
	slices.Sort(c.Releases)
	if args, err := cmdline.ParseConfig(strings.NewReader(c.Config)); err == nil {
		c.Profiles = namelist.Unique(namelist.Split(args.All("nodisk.profile")))
	}
}

// share gives files of a segment their shares of its blocks.
func share(files []File, spans []span, blocks []compress.BlockSize) {
	at, i := int64(0), 0 // where block i begins
	for k, s := range spans {
		for i < len(blocks) && at+blocks[i].Raw <= s.from {
			at += blocks[i].Raw
			i++
		}
		files[k].Packed = 0
		for from, j := at, i; j < len(blocks) && from < s.to; j++ {
			if common := min(s.to, from+blocks[j].Raw) - max(s.from, from); common > 0 {
				files[k].Packed += blocks[j].Packed * common / blocks[j].Raw
			}
			from += blocks[j].Raw
		}
	}
}
