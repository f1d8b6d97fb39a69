package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/quantity"
	"github.com/nodisk/nodisk/internal/userns"
)

// An adder reads what --add names: what is there, never the content of files.
type adder struct {
	owner    Owner
	self     int  // the user that runs this
	mapped   bool // in a user namespace, which has not all users
	exclude  []*exclusion
	outputs  map[string]string   // what is written by this build, by absolute path
	groups   map[[2]uint64]int   // of hard links, by device and inode
	unmapped map[string]struct{} // names of extended attributes that were left

	files []initramfs.Entry
	notes []string

	setid, foreign, sockets, vanished, capable, attributes tally
	unreadable, large, mounted                             tally
}

// read reads what is added, for files of the image.
func (a *adder) read(ctx context.Context, s Spec) (files []initramfs.Entry, err error) {
	a.owner, a.self = s.Owner, os.Geteuid()
	a.mapped = userns.Inside()
	a.groups, a.unmapped, a.outputs = make(map[[2]uint64]int), make(map[string]struct{}), make(map[string]string)
	if a.exclude, err = parseExclusions(s.Exclude); err != nil {
		return nil, err
	}
	if s.Cache != nil {
		a.output(s.Cache.Dir, "the cache of this build")
	}
	for _, one := range s.Add {
		if err := a.addition(ctx, one); err != nil {
			return nil, fmt.Errorf("add %s: %w", one.Source, err)
		}
	}
	return a.files, a.refusal()
}

// output remembers a path that must not get into the image, and where it leads if it is a link.
func (a *adder) output(at, what string) {
	if at == "" {
		return
	}
	abs, err := filepath.Abs(at)
	if err != nil {
		return // the working directory is gone: nothing below it can be added
	}
	if dir, err := filepath.EvalSymlinks(filepath.Dir(abs)); err == nil {
		a.outputs[filepath.Join(dir, filepath.Base(abs))] = what
	}
	if target, err := filepath.EvalSymlinks(abs); err == nil {
		a.outputs[target] = what
	}
}

// addition reads one file or directory with all below.
func (a *adder) addition(ctx context.Context, one Addition) error {
	abs, err := filepath.Abs(one.Source)
	if err != nil {
		return err
	}
	// What was named itself is followed, what lies below is not.
	resolved, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return err
	}
	is, err := lstat(resolved)
	if err != nil {
		return err
	}
	name := initramfs.CleanName(one.Destination)
	if is.mode&initramfs.TypeMask != initramfs.TypeDir && (name == "" || strings.HasSuffix(one.Destination, "/")) {
		name = path.Join(name, filepath.Base(abs))
	}
	if initramfs.CleanName(filepath.ToSlash(abs)) == name {
		a.notes = append(a.notes, fmt.Sprintf("%s goes in as /%s; --add %s:DST gives it another place",
			one.Source, name, one.Source))
	}
	return a.walk(ctx, resolved, name, is, is.mount)
}

// walk adds a file, and of a directory what is in it.
func (a *adder) walk(ctx context.Context, at, name string, is facts, on mount) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if what, ours := a.outputs[at]; ours {
		a.notes = append(a.notes, fmt.Sprintf("%s, %s, is left out of the image", at, what))
		return nil
	}
	if name != "" && excluded(a.exclude, name) {
		return nil
	}
	directory := is.mode&initramfs.TypeMask == initramfs.TypeDir
	if is.mount != on { // what it hides cannot be seen
		a.mounted.add(at)
		if !directory {
			return nil
		}
	}
	if name != "" {
		if err := a.file(at, name, is); err != nil {
			return err
		}
	}
	if !directory || is.mount != on {
		return nil
	}
	entries, err := os.ReadDir(at)
	switch {
	case errors.Is(err, fs.ErrPermission):
		a.unreadable.add(at)
		return nil
	case errors.Is(err, fs.ErrNotExist):
		a.vanished.add(at)
		return nil
	case err != nil:
		return err
	}
	for _, e := range entries {
		below := filepath.Join(at, e.Name())
		is, err := lstat(below)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			a.vanished.add(below)
			continue
		case errors.Is(err, fs.ErrPermission):
			a.unreadable.add(below)
			continue
		case err != nil:
			return err
		}
		if err := a.walk(ctx, below, path.Join(name, e.Name()), is, on); err != nil {
			return err
		}
	}
	return nil
}

// file adds one file, link, node or directory.
func (a *adder) file(at, name string, is facts) error {
	f := initramfs.Entry{Name: name, Mode: is.mode, Part: initramfs.PartAdded}
	switch is.mode & initramfs.TypeMask {
	case initramfs.TypeFile:
		switch {
		case is.Size > math.MaxUint32:
			a.large.add(fmt.Sprintf("%s (%d bytes)", at, is.Size))
			return nil
		case !readable(at):
			a.unreadable.add(at)
			return nil
		}
		f.Source = &initramfs.Content{At: at, Stamp: is.Stamp}
		if is.nlink > 1 {
			key := [2]uint64{is.Dev, is.Ino}
			if a.groups[key] == 0 {
				a.groups[key] = len(a.groups) + 1
			}
			f.Group = a.groups[key]
		}
	case initramfs.TypeLink:
		target, err := os.Readlink(at)
		if errors.Is(err, fs.ErrNotExist) {
			a.vanished.add(at)
			return nil
		}
		if err != nil {
			return err
		}
		f.Data = []byte(target)
	case initramfs.TypeChar, initramfs.TypeBlock:
		f.Major, f.Minor = is.major, is.minor
	case initramfs.TypeSocket:
		a.sockets.add(at)
		return nil
	}
	a.own(&f, is)
	a.extended(at, name)
	a.files = append(a.files, f)
	return nil
}

// own sets owner and group. What becomes root's keeps no bit that would give root's rights, or
// its group's, to whoever runs it, unless it was root's before.
func (a *adder) own(f *initramfs.Entry, is facts) {
	if a.owner == OwnerKeep {
		f.UID, f.GID = is.uid, is.gid
		return
	}
	if is.uid != 0 && int(is.uid) != a.self {
		a.foreign.add(f.Name)
	}
	if f.Mode&initramfs.TypeMask != initramfs.TypeFile {
		return // of a directory the bit says whose group new files have
	}
	drop := uint32(0)
	if is.uid != 0 {
		drop |= 0o4000
	}
	if is.gid != 0 {
		drop |= 0o2000
	}
	if f.Mode&drop != 0 {
		f.Mode &^= drop
		a.setid.add(f.Name)
	}
}

// capabilityAttribute holds the capabilities of a program, capabilities(7).
const capabilityAttribute = "security.capability"

// extended counts what newc has no place for.
func (a *adder) extended(at, name string) {
	names := attributes(at)
	if slices.Contains(names, capabilityAttribute) {
		a.capable.add(name)
	}
	names = slices.DeleteFunc(names, func(n string) bool { return n == capabilityAttribute })
	if len(names) > 0 {
		a.attributes.add(name)
	}
	for _, n := range names {
		a.unmapped[n] = struct{}{}
	}
}

// reader says who reads the files, and how to be one who may.
func (a *adder) reader() (who, remedy string) {
	switch {
	case a.self == 0 && a.mapped:
		return "user 0 of a user namespace (unshare -r, a rootless container)", "run nodisk as root outside of it"
	case a.self == 0:
		return "root", "run nodisk where they can be read (of an NFS export with root_squash: on its server)"
	default:
		return fmt.Sprintf("user %d", a.self), "run nodisk as root"
	}
}

// refusal is what stands against an image with all that.
func (a *adder) refusal() error {
	var errs []error
	if a.unreadable.count > 0 {
		who, remedy := a.reader()
		errs = append(errs, fmt.Errorf("add files: %d cannot be read by %s: %s: %s, or leave them out with --exclude",
			a.unreadable.count, who, a.unreadable.names(), remedy))
	}
	if a.large.count > 0 {
		errs = append(errs, fmt.Errorf("add files: an archive holds less than 4 GiB a file: %s: "+
			"leave it out with --exclude, or bring it to the node another way", a.large.names()))
	}
	return errors.Join(errs...)
}

// findings are what an administrator is to know.
func (a *adder) findings() (notes, warnings []string) {
	notes = a.notes
	note := func(t *tally, format string) {
		if t.count > 0 {
			notes = append(notes, fmt.Sprintf(format, quantity.Plural(t.count, "file"), t.names()))
		}
	}
	note(&a.sockets, "%s left out: sockets, which their servers make again: %s")
	if a.mounted.count > 0 {
		notes = append(notes, fmt.Sprintf("what is mounted below a directory that is added is left out, a directory "+
			"stays, empty: %s; "+
			"an --add of its own puts that in", a.mounted.names()))
	}
	note(&a.vanished, "%s left out, gone while the tree was read: %s")
	note(&a.foreign, "owners of %s are not kept, all become root's: %s; --owner keep, or nodisk run as "+
		"root, keeps owners")
	if a.attributes.count > 0 {
		names := make([]string, 0, len(a.unmapped))
		for n := range a.unmapped {
			names = append(names, escape.Text(n))
		}
		slices.Sort(names)
		notes = append(notes, fmt.Sprintf("%s with extended attributes, for which an image has no place (%s): %s",
			quantity.Plural(a.attributes.count, "file"), strings.Join(names, ", "), a.attributes.names()))
	}
	for _, e := range a.exclude {
		if e.hits == 0 {
			notes = append(
				notes,
				fmt.Sprintf("--exclude %s: nothing that is added has such a path", escape.Text(e.text)),
			)
		}
	}
	if a.setid.count > 0 {
		warnings = append(warnings, fmt.Sprintf("setuid or setgid bits of %s are dropped, "+
			"whose owner or group is not root here and would be in the image: %s; --owner keep, or nodisk run as "+
			"root, keeps owners and bits", quantity.Plural(a.setid.count, "file"), a.setid.names()))
	}
	if a.capable.count > 0 {
		warnings = append(warnings, fmt.Sprintf("capabilities of %s are not in the image, which has no place "+
			"for them: %s: "+
			"what they were for, such as ping, fails for users other than root; setcap on the node, or chmod "+
			"u+s, mends that", quantity.Plural(a.capable.count, "file"), a.capable.names()))
	}
	return notes, warnings
}
