package build

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"time"
)

// WriteFile writes the content of a file as the node has it: links are followed within the image, and
// of several files of one name the last counts.
func (r *ImageReader) WriteFile(ctx context.Context, w io.Writer, name string) error {
	at, n, err := r.tree.lookup(name, true)
	switch {
	case err != nil:
		return err
	case n == nil && at == cleanName(name):
		return fmt.Errorf("it has no /%s: nodisk inspect lists what it has", at)
	case n == nil:
		return fmt.Errorf("it has no /%s, to which its link /%s leads", at, cleanName(name))
	case n.is(typeDir):
		return fmt.Errorf("/%s is a directory: --unpack DIR takes out all files", at)
	case !n.is(typeFile):
		return fmt.Errorf("/%s is a device, a FIFO or a socket: it has no content", at)
	case n.size() == 0:
		return nil
	}
	return r.contents(ctx, []*File{n.body}, func(_ *File, content io.Reader) error {
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
func (r *ImageReader) Unpack(ctx context.Context, how Unpacking) (_ Unpacked, err error) {
	made, err := emptyDir(how.Dir)
	if err != nil {
		return Unpacked{}, err
	}
	root, err := os.OpenRoot(how.Dir)
	if err != nil {
		return Unpacked{}, err
	}
	x := &extraction{Unpacking: how, root: root, privileged: os.Geteuid() == 0, bodies: make(map[*File][]placed), nodes: make(map[*inode]string)}
	defer func() {
		if err != nil {
			err = errors.Join(err, x.undo())
		}
		err = errors.Join(err, root.Close())
		if err != nil && made {
			err = errors.Join(err, os.Remove(how.Dir))
		}
	}()
	r.tree.walk("", r.tree.root, func(name string, n *inode) { x.list = append(x.list, placed{name, n}) })
	err = errors.Join(x.directories(), ctx.Err())
	if err == nil {
		err = r.contents(ctx, x.wanted(), x.file)
	}
	if err == nil {
		err = errors.Join(x.empty(), x.others(), x.links(), x.finish())
	}
	if err != nil {
		return Unpacked{}, fmt.Errorf("unpack: %w", err)
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
	n    *inode
}

// An extraction is an unpacking that is under way.
type extraction struct {
	Unpacking
	root       *os.Root
	privileged bool
	list       []placed // sorted: a directory is before what lies in it
	bodies     map[*File][]placed
	nodes      map[*inode]string // files and devices that are there, by their first name
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
		if !p.n.is(typeFile) || p.n.size() == 0 {
			continue
		}
		if x.bodies[p.n.body] == nil {
			files = append(files, p.n.body)
		}
		x.bodies[p.n.body] = append(x.bodies[p.n.body], p)
	}
	return files
}

// directories makes them, open to the user alone until all is in them.
func (x *extraction) directories() error {
	for _, p := range x.list {
		if !p.n.is(typeDir) {
			continue
		}
		x.done.Dirs++
		if err := x.root.Mkdir(p.name, 0o700); err != nil {
			return err
		}
	}
	return nil
}

// file writes a file that has content, under all its names.
func (x *extraction) file(f *File, content io.Reader) error {
	first := x.bodies[f][0]
	var more []string
	for _, p := range x.bodies[f][1:] {
		more = append(more, p.name)
	}
	return x.write(first.n, first.name, content, more)
}

// empty makes the files without content.
func (x *extraction) empty() error {
	for _, p := range x.list {
		if !p.n.is(typeFile) || p.n.size() > 0 {
			continue
		}
		var err error
		if first, ok := x.nodes[p.n]; ok {
			err = x.root.Link(first, p.name)
			x.done.Files++
		} else {
			err = x.write(p.n, p.name, nil, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// write makes a regular file and further names of it.
func (x *extraction) write(n *inode, name string, content io.Reader, more []string) (err error) {
	f, err := x.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	x.nodes[n] = name
	if content != nil {
		if err := copySparse(f, content, n.size()); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if err := x.attributes(name, n); err != nil {
		return err
	}
	x.done.Files += 1 + len(more)
	for _, other := range more {
		if err := x.root.Link(name, other); err != nil {
			return err
		}
	}
	return nil
}

// copySparse writes size bytes, and leaves out what is zero.
func copySparse(f *os.File, content io.Reader, size int64) error {
	buf := make([]byte, inputBuffer)
	for at := int64(0); at < size; {
		n, err := io.ReadFull(content, buf[:min(int64(len(buf)), size-at)])
		if err != nil {
			return err
		}
		if zeroes(buf[:n]) < n {
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
	for _, p := range x.list {
		kind := p.n.mode & typeMask
		switch kind {
		case typeDir, typeFile, typeLink:
			continue
		case typeFIFO, typeChar, typeBlock:
		default:
			x.sockets++
			continue
		}
		if kind != typeFIFO && !x.privileged {
			x.devices++
			continue
		}
		if first, ok := x.nodes[p.n]; ok {
			if err := x.root.Link(first, p.name); err != nil {
				return err
			}
			continue
		}
		if err := makeNode(x.root, p.name, p.n); err != nil {
			return err
		}
		x.nodes[p.n] = p.name
		x.done.Devices++
		if err := x.attributes(p.name, p.n); err != nil {
			return err
		}
	}
	return nil
}

// links makes the symbolic links. Nothing is made after them that they could lead astray.
func (x *extraction) links() error {
	for _, p := range x.list {
		if !p.n.is(typeLink) {
			continue
		}
		if err := x.root.Symlink(p.n.target, p.name); err != nil {
			return err
		}
		x.done.Links++
		if x.privileged && p.n.meta != nil {
			if err := x.root.Lchown(p.name, int(p.n.meta.UID), int(p.n.meta.GID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// finish gives the directories their attributes, those within first.
func (x *extraction) finish() error {
	for _, p := range slices.Backward(x.list) {
		if p.n.is(typeDir) {
			if err := x.attributes(p.name, p.n); err != nil {
				return err
			}
		}
	}
	return nil
}

// attributes sets owner, mode and time of what is not a symbolic link.
func (x *extraction) attributes(name string, n *inode) error {
	if n.meta == nil {
		return nil
	}
	if x.privileged {
		if err := x.root.Lchown(name, int(n.meta.UID), int(n.meta.GID)); err != nil {
			return err
		}
	} else if int(n.meta.UID) != os.Geteuid() || int(n.meta.GID) != os.Getegid() {
		x.owners = true
	}
	mode := fileMode(n.mode) & (fs.ModePerm | fs.ModeSticky | fs.ModeSetuid | fs.ModeSetgid)
	if !n.is(typeDir) && !x.SetID && mode&(fs.ModeSetuid|fs.ModeSetgid) != 0 {
		mode &^= fs.ModeSetuid | fs.ModeSetgid
		x.setid++
	}
	if err := x.root.Chmod(name, mode); err != nil {
		return err
	}
	at := time.Unix(int64(n.meta.MTime), 0)
	return x.root.Chtimes(name, at, at)
}

// undo removes what was made.
func (x *extraction) undo() error {
	dir, err := x.root.Open(".")
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
		notes = append(notes, fmt.Sprintf("the set-user-ID and set-group-ID bits of %s are left out: --setid keeps them", plural(x.setid, "file")))
	}
	if x.devices > 0 {
		notes = append(notes, fmt.Sprintf("%s left out: only root can make them", plural(x.devices, "device")))
	}
	if x.sockets > 0 {
		notes = append(notes, fmt.Sprintf("%s left out", plural(x.sockets, "socket")))
	}
	if x.owners {
		notes = append(notes, "all files are yours: only root can give them their owners")
	}
	return notes
}
