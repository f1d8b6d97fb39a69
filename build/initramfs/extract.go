package initramfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"time"

	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/internal/quantity"
)

// WriteFile writes the content of a file as the node has it: links are followed within the image, and
// of several files of one name the last counts.
func (r *Reader) WriteFile(ctx context.Context, w io.Writer, name string) error {
	at, n, err := r.Tree.Lookup(name, true)
	switch {
	case err != nil:
		return err
	case n == nil && at == CleanName(name):
		return fmt.Errorf("it has no /%s: nodisk inspect lists what it has", at)
	case n == nil:
		return fmt.Errorf("it has no /%s, to which its link /%s leads", at, CleanName(name))
	case n.Is(TypeDir):
		return fmt.Errorf("/%s is a directory: --unpack DIR takes out all files", at)
	case !n.Is(TypeFile):
		return fmt.Errorf("/%s is a device, a FIFO or a socket: it has no content", at)
	case n.size() == 0:
		return nil
	}
	return r.Each(ctx, []*File{n.body}, func(_ *File, content io.Reader) error {
		_, err := io.Copy(w, content)
		return err
	})
}

// An Unpacking is how an image is unpacked into a directory.
type Unpacking struct {
	Dir   string // must be empty or not there
	SetID bool   // keep set-user-ID and set-group-ID bits of files
}

// Unpacked says what became of it.
type Unpacked struct {
	Files, Dirs, Links, Devices int
	Notes                       []string // what is not as in the image
}

// Unpack makes in a directory what the kernel makes of an image: files with modes and
// times, hard links, symbolic links, FIFOs, and, for root, owners and devices. Nothing
// is written outside of the directory, whatever the names in the image are: their links
// are resolved in the image, and made last. What was made is removed after an error.
func (r *Reader) Unpack(ctx context.Context, how Unpacking) (_ Unpacked, err error) {
	made, err := emptyDir(how.Dir)
	if err != nil {
		return Unpacked{}, err
	}
	root, err := os.OpenRoot(how.Dir)
	if err != nil {
		return Unpacked{}, err
	}
	x := &extraction{
		Unpacking: how, ctx: ctx, root: root, open: openDirs{roots: []*os.Root{root}}, privileged: os.Geteuid() == 0,
		bodies: make(map[*File][]placed), nodes: make(map[*Inode]string),
	}
	defer func() {
		if err = errors.Join(err, x.open.leave(0)); err != nil {
			err = errors.Join(err, x.undo())
		}
		err = errors.Join(err, root.Close())
		if err != nil && made {
			err = errors.Join(err, os.Remove(how.Dir))
		}
	}()
	r.Tree.Walk("", r.Tree.Root, func(name string, n *Inode) { x.list = append(x.list, placed{name, n}) })
	contents := func() error { return r.Each(ctx, x.wanted(), x.file) }
	for _, step := range []func() error{x.directories, contents, x.empty, x.others, x.links, x.finish} {
		if err := step(); err != nil {
			return Unpacked{}, fmt.Errorf("unpack: %w", err)
		}
	}
	x.done.Notes = x.notes()
	return x.done, nil
}

// emptyDir makes a directory, or makes sure that it is empty.
func emptyDir(dir string) (made bool, err error) {
	if err := os.Mkdir(dir, 0o700); !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	entries, err := os.ReadDir(dir)
	if err == nil && len(entries) > 0 {
		err = fmt.Errorf("unpack into %s: it is not empty: give a new or an empty directory", dir)
	}
	return false, err
}

// A placed is a file with its path.
type placed struct {
	name string
	n    *Inode
}

// An extraction is an unpacking that is under way.
type extraction struct {
	Unpacking
	ctx        context.Context //nolint:containedctx // it is one call
	root       *os.Root
	open       openDirs
	privileged bool
	list       []placed // sorted: a directory is before what lies in it
	bodies     map[*File][]placed
	nodes      map[*Inode]string // files and devices that are there, by their first name
	done       Unpacked
	setid      int // files whose bits were left out
	devices    int // that were left out
	sockets    int
	owners     bool // some were left out
}

// wanted are the files with content, with their names in bodies.
func (x *extraction) wanted() []*File {
	var files []*File
	for _, p := range x.list {
		if !p.n.Is(TypeFile) || p.n.size() == 0 {
			continue
		}
		if x.bodies[p.n.body] == nil {
			files = append(files, p.n.body)
		}
		x.bodies[p.n.body] = append(x.bodies[p.n.body], p)
	}
	return files
}

// each calls do for files, each with its directory and its name there, until one fails.
func (x *extraction) each(list iter.Seq2[int, placed], do func(p placed, dir *os.Root, base string) error) error {
	for _, p := range list {
		if x.ctx.Err() != nil {
			return context.Cause(x.ctx)
		}
		if err := x.at(p, do); err != nil {
			return err
		}
	}
	return nil
}

// at calls do for one file. Its errors have the whole path.
func (x *extraction) at(p placed, do func(p placed, dir *os.Root, base string) error) error {
	dir, base, err := x.open.dirOf(p.name)
	if err == nil {
		err = do(p, dir, base)
	}
	if part, ok := errors.AsType[*fs.PathError](err); ok {
		return &fs.PathError{Op: part.Op, Path: p.name, Err: part.Err}
	}
	return err
}

// directories makes them, open to the user alone until all is in them. The kernel can make paths by
// way of links that are longer than those that it takes: nobody else could read them.
func (x *extraction) directories() error {
	return x.each(slices.All(x.list), func(p placed, dir *os.Root, base string) error {
		if len(p.name) >= pathMax {
			return fmt.Errorf("/%.60s and so on is a path of %d bytes, and Linux takes %d: no tool would read "+
				"what is there", p.name, len(p.name), pathMax-1)
		}
		if !p.n.Is(TypeDir) {
			return nil
		}
		x.done.Dirs++
		return dir.Mkdir(base, 0o700)
	})
}

// file writes a file that has content, under all its names.
func (x *extraction) file(f *File, content io.Reader) error {
	return x.at(x.bodies[f][0], func(p placed, dir *os.Root, base string) error {
		if err := x.write(p, dir, base, content); err != nil {
			return err
		}
		for _, other := range x.bodies[f][1:] {
			x.done.Files++
			if err := x.root.Link(p.name, other.name); err != nil {
				return err
			}
		}
		return nil
	})
}

// empty makes the files without content.
func (x *extraction) empty() error {
	return x.each(slices.All(x.list), func(p placed, dir *os.Root, base string) error {
		if !p.n.Is(TypeFile) || p.n.size() > 0 {
			return nil
		}
		if first, ok := x.nodes[p.n]; ok {
			x.done.Files++
			return x.root.Link(first, p.name)
		}
		return x.write(p, dir, base, nil)
	})
}

// write makes a regular file.
func (x *extraction) write(p placed, dir *os.Root, base string, content io.Reader) (err error) {
	f, err := dir.OpenFile(base, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	x.nodes[p.n] = p.name
	x.done.Files++
	if content != nil {
		if err := copySparse(f, content, p.n.size()); err != nil {
			return fmt.Errorf("write %s: %w", p.name, err)
		}
	}
	return x.attributes(p, dir, base)
}

// copySparse writes size bytes, and leaves out what is zero.
func copySparse(f *os.File, content io.Reader, size int64) error {
	buf := make([]byte, compress.InputBuffer)
	for at := int64(0); at < size; {
		n, err := io.ReadFull(content, buf[:min(int64(len(buf)), size-at)])
		if err != nil {
			return err
		}
		if compress.Zeroes(buf[:n]) < n {
			if _, err := f.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
	}
	return f.Truncate(size)
}

// others makes devices and FIFOs.
func (x *extraction) others() error {
	return x.each(slices.All(x.list), func(p placed, dir *os.Root, base string) error {
		kind := p.n.Mode & TypeMask
		switch kind {
		case TypeDir, TypeFile, TypeLink:
			return nil
		case TypeFIFO, TypeChar, TypeBlock:
		default:
			x.sockets++
			return nil
		}
		if kind != TypeFIFO && !x.privileged {
			x.devices++
			return nil
		}
		if first, ok := x.nodes[p.n]; ok {
			return x.root.Link(first, p.name)
		}
		if err := makeNode(dir, base, p.n); err != nil {
			return err
		}
		x.nodes[p.n] = p.name
		x.done.Devices++
		return x.attributes(p, dir, base)
	})
}

// links makes the symbolic links. Nothing is made after them that they could lead astray. Hard links of one
// become links of their own, as in the kernel (do_symlink).
func (x *extraction) links() error {
	return x.each(slices.All(x.list), func(p placed, dir *os.Root, base string) error {
		if !p.n.Is(TypeLink) {
			return nil
		}
		if err := dir.Symlink(p.n.Target, base); err != nil {
			return err
		}
		x.done.Links++
		if x.privileged && p.n.meta != nil {
			return dir.Lchown(base, int(p.n.meta.UID), int(p.n.meta.GID))
		}
		return nil
	})
}

// finish gives the directories their attributes, those within first.
func (x *extraction) finish() error {
	return x.each(slices.Backward(x.list), func(p placed, dir *os.Root, base string) error {
		if !p.n.Is(TypeDir) {
			return nil
		}
		return x.attributes(p, dir, base)
	})
}

// attributes sets owner, mode and time of what is not a symbolic link.
func (x *extraction) attributes(p placed, dir *os.Root, base string) error {
	n := p.n
	if n.meta == nil {
		return nil
	}
	if x.privileged {
		if err := dir.Lchown(base, int(n.meta.UID), int(n.meta.GID)); err != nil {
			return err
		}
	} else if int(n.meta.UID) != os.Geteuid() || int(n.meta.GID) != os.Getegid() {
		x.owners = true
	}
	mode := fileMode(n.Mode) & (fs.ModePerm | fs.ModeSticky | fs.ModeSetuid | fs.ModeSetgid)
	if !n.Is(TypeDir) && !x.SetID && mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		mode &^= fs.ModeSetuid | fs.ModeSetgid
		x.setid++
	}
	if err := dir.Chmod(base, mode); err != nil {
		return err
	}
	at := time.Unix(int64(n.meta.MTime), 0)
	return dir.Chtimes(base, at, at)
}

// undo removes what was made. It does not end with the context: a second signal ends it.
// Directories that have their modes already are opened to the user again.
func (x *extraction) undo() error {
	for _, p := range x.list {
		if !p.n.Is(TypeDir) || x.privileged {
			continue
		}
		dir, base, err := x.open.dirOf(p.name)
		if err == nil {
			err = dir.Chmod(base, 0o700)
		}
		if err != nil { // it is not there, nor is what comes after it
			break
		}
	}
	dir, err := x.root.Open(".")
	err = errors.Join(err, x.open.leave(0))
	if err != nil {
		return err
	}
	names, err := dir.Readdirnames(-1)
	err = errors.Join(err, dir.Close())
	for _, name := range names {
		err = errors.Join(err, x.root.RemoveAll(name))
	}
	return err
}

func (x *extraction) notes() []string {
	var notes []string
	if x.setid > 0 {
		notes = append(notes, fmt.Sprintf("the set-user-ID and set-group-ID bits of %s are left out: "+
			"--setid keeps them", quantity.Plural(x.setid, "file")))
	}
	if x.devices > 0 {
		notes = append(notes, fmt.Sprintf("%s left out: only root can make them", quantity.Plural(x.devices, "device")))
	}
	if x.sockets > 0 {
		notes = append(notes, fmt.Sprintf("%s left out", quantity.Plural(x.sockets, "socket")))
	}
	if x.owners {
		notes = append(notes, "all files are yours: only root can give them their owners")
	}
	return notes
}
