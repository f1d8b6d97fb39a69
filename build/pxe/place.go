package pxe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"slices"
)

// A place is one directory of those that Write fills, worked on by one
// goroutine.
type place struct {
	*writer
	dir   string   // with slashes, "." for the top
	root  *os.Root // nil while there is no such directory
	files []File
	stale []string // paths of files that are no longer wanted

	sums   []string // of files
	change []File   // those of files that are not as they should be
	done   Changes

	text bytes.Buffer // what was read last
}

// open opens the directory, if it is there.
func (p *place) open() error {
	if p.root != nil {
		return nil
	}
	root, err := p.writer.root.OpenRoot(filepath.FromSlash(p.dir))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("open directory %s: %w", p.dir, cause(err))
	}
	p.root = root
	return p.sweep()
}

// sweep removes what calls that were killed have left: no other call is under way, and this one has not begun to write.
func (p *place) sweep() error {
	list, err := fs.ReadDir(p.root.FS(), ".")
	if err != nil {
		return fmt.Errorf("read directory %s: %w", p.dir, cause(err))
	}
	for _, e := range list {
		if !e.Type().IsRegular() || !isTemporary(e.Name()) {
			continue
		}
		if err := p.root.Remove(e.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", path.Join(p.dir, e.Name()), cause(err))
		}
	}
	return nil
}

func (p *place) close() {
	if p.root != nil {
		_ = p.root.Close() // nothing is written through it
	}
}

// compare finds what is to be changed, and what is in the way.
func (p *place) compare(ctx context.Context) error {
	if err := p.open(); err != nil {
		return err
	}
	var errs []error
	var last File
	for i, f := range p.files {
		if ctx.Err() != nil {
			return fmt.Errorf("compare files: %w", context.Cause(ctx))
		}
		// A node's files have the same contents, and follow each other at best.
		if i > 0 && bytes.Equal(last.Data, f.Data) {
			p.sums = append(p.sums, p.sums[i-1])
		} else {
			p.sums = append(p.sums, sumOf(f.Data))
		}
		last = f
		there, err := p.read(f.Path)
		switch {
		case err != nil:
			errs = append(errs, err)
		case there && bytes.Equal(p.text.Bytes(), f.Data):
		case there && !p.force && !p.own(f.Path):
			errs = append(errs, fmt.Errorf("write %s: it is there, and not as nodisk pxe has written it: move your "+
				"changes to nodes.yaml, or give --force to lose them", f.Path))
		default:
			p.change = append(p.change, f)
		}
	}
	return errors.Join(errs...)
}

// own reports whether what was read last is as an earlier call wrote it. A power
// cut can leave a file without its contents.
func (p *place) own(name string) bool {
	return len(p.ours[name]) > 0 && (p.text.Len() == 0 || slices.Contains(p.ours[name], sumOf(p.text.Bytes())))
}

// read reads a file of the directory and reports whether it is there.
func (p *place) read(name string) (bool, error) {
	p.text.Reset()
	if p.root == nil {
		return false, nil
	}
	f, err := p.root.Open(path.Base(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("read %s: %w", name, cause(err))
	}
	// Nothing that is written here is larger than a description can make it.
	_, err = p.text.ReadFrom(io.LimitReader(f, 1<<30))
	if err := errors.Join(err, f.Close()); err != nil {
		return false, fmt.Errorf("read %s: %w", name, cause(err))
	}
	return true, nil
}

// apply writes and removes.
func (p *place) apply(ctx context.Context) error {
	if len(p.change) > 0 && p.root == nil {
		if err := p.writer.root.MkdirAll(filepath.FromSlash(p.dir), 0o755); err != nil {
			return fmt.Errorf("make directory %s: %w", p.dir, cause(err))
		}
		if err := p.open(); err != nil {
			return err
		}
	}
	for _, f := range p.change {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.replace(f.Path, f.Data); err != nil {
			return err
		}
		p.done.Written = append(p.done.Written, f.Path)
	}
	slices.Sort(p.stale)
	for _, name := range p.stale {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := p.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// replace makes the file of that name hold the text; it is never seen half.
func (p *place) replace(name string, text []byte) error {
	f, temp, err := p.create()
	if err == nil {
		_, err = f.Write(text)
		if err == nil {
			// umask may have taken away what a TFTP server needs.
			err = f.Chmod(0o644)
		}
		err = errors.Join(err, f.Close())
		if err == nil {
			err = p.root.Rename(temp, path.Base(name))
		}
		if err != nil {
			err = errors.Join(cause(err), cause(p.root.Remove(temp)))
		}
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, cause(err))
	}
	return nil
}

// create begins a file under a name that no other has: where the file system is another machine's, its lock may not
// be known there.
func (p *place) create() (f *os.File, name string, err error) {
	for range 100 {
		name = fmt.Sprintf("%s-%016x", temporary, rand.Uint64())
		f, err = p.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if !errors.Is(err, fs.ErrExist) {
			break
		}
	}
	return f, name, err
}

// remove takes a file away that is as it was written.
func (p *place) remove(name string) error {
	there, err := p.read(name)
	switch {
	case err != nil:
		return err
	case !there:
		return nil
	case !p.own(name):
		p.done.Kept = append(p.done.Kept, name)
		return nil
	}
	if err := p.root.Remove(path.Base(name)); err != nil {
		return fmt.Errorf("remove %s: %w", name, cause(err))
	}
	p.done.Removed = append(p.done.Removed, name)
	return nil
}

// cause is an error without the names of the temporary file and of calls.
func cause(err error) error {
	var (
		of   *fs.PathError
		link *os.LinkError
	)
	switch {
	case errors.As(err, &of):
		return of.Err
	case errors.As(err, &link):
		return link.Err
	}
	return err
}
