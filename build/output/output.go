package output

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/quantity"
)

// ImageMode are the permissions of images: they are served by TFTP and HTTP, by users other than their maker.
const ImageMode = 0o644

// Names of files that are not complete, where they need one. Nobody asks a server for them.
const (
	unfinishedPrefix = ".nodisk-"
	unfinishedSuffix = ".part"
)

// leftAlone is how long ago the last byte of a file without a lock must have been written for it to count as left
// after: a file system of the network may know no locks of other machines.
const leftAlone = time.Minute

// Set are the files of a build. Those that are files are there under their names when all are complete, and
// not before; what goes to a pipe goes there at once.
type Set struct {
	Stdout io.Writer      // what [Stdout] means; nil: the standard output
	Tell   func(s string) // is told what is waited for; may be nil
	list   []*File
}

// Open begins an output. A terminal is refused unless what is written is text.
func (o *Set) Open(ctx context.Context, name string, mode fs.FileMode, text bool) (*File, error) {
	d, err := Find(name)
	if err != nil {
		return nil, err
	}
	one := &File{Destination: d, mode: mode}
	switch d.Kind {
	case toFile:
		err = one.create()
	default:
		if d.Kind == toPipe && o.Tell != nil {
			o.Tell("opening " + name + " for its reader")
		}
		err = one.stream(ctx, o.Stdout, text)
	}
	if err != nil {
		return nil, err
	}
	o.list = append(o.list, one)
	return one, nil
}

// Commit puts all files into place.
func (o *Set) Commit() error {
	var errs []error
	for _, one := range o.list {
		errs = append(errs, one.finish())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, one := range o.list {
		if err := one.publish(); err != nil {
			return err
		}
	}
	return nil
}

// Discard removes what was not committed.
func (o *Set) Discard() error {
	var errs []error
	for _, one := range o.list {
		errs = append(errs, one.discard())
	}
	return errors.Join(errs...)
}

// A File is one file that a build writes, of whatever kind.
type File struct {
	Destination

	mode    fs.FileMode
	w       io.Writer
	file    *os.File // of toFile
	temp    string   // its name until it is complete; empty: it has none
	closer  io.Closer
	written int64
}

// create begins a file in the directory where it will be.
func (o *File) create() error {
	dir := filepath.Dir(o.Path)
	removeLeftovers(dir)
	f, err := unnamedFile(dir, o.Path)
	if err != nil { // not every file system can; what else is wrong is wrong for the next, too
		return o.createNamed(dir)
	}
	o.file, o.w, o.closer = f, f, f
	return nil
}

// createNamed begins a file under a name that says what it is.
func (o *File) createNamed(dir string) error {
	for range 3 {
		f, err := os.CreateTemp(dir, unfinishedPrefix+"*"+unfinishedSuffix)
		if err != nil {
			return fmt.Errorf("%s: %w", o.Name, cause(err))
		}
		lockFile(f)
		named, err := hasName(f)
		if named && err == nil {
			o.file, o.w, o.closer, o.temp = f, f, f, f.Name()
			return nil
		}
		// Another nodisk took it for a leftover, before it was locked.
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", o.Name, cause(err))
		}
	}
	return fmt.Errorf("%s: what is begun in %s does not stay there: somebody removes it", o.Name, dir)
}

// stream begins what is written as it comes.
func (o *File) stream(ctx context.Context, stdout io.Writer, text bool) error {
	if stdout == nil {
		stdout = os.Stdout
	}
	if o.Kind != ToStdout || escape.Bottom(stdout) == io.Writer(os.Stdout) {
		if err := o.Takes(text); err != nil {
			return err
		}
	}
	var err error
	if o.w, o.closer, err = o.open(ctx.Done(), stdout); err != nil {
		if errors.Is(err, errNoReader) {
			return fmt.Errorf("%s: %w: %w", o.Name, err, ctx.Err())
		}
		return fmt.Errorf("%s: %w", o.Name, cause(err))
	}
	return nil
}

// Write writes to the output.
func (o *File) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.written += int64(n)
	return n, o.explain(err)
}

// explain names the output in an error of writing, and the space there is when that was too little.
func (o *File) explain(err error) error {
	if err == nil {
		return nil
	}
	err = cause(err)
	if o.Kind != toFile || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%s: %w", Name(o.Name), err)
	}
	dir := filepath.Dir(o.Path)
	free, freeErr := freeBytes(dir)
	if freeErr != nil {
		return fmt.Errorf("%s: %w (after %s); %w", o.Name, err, quantity.Bytes(o.written), freeErr)
	}
	return fmt.Errorf("%s: %w: the file system of %s has %s free without it, and this needs more: make room, or give "+
		"a path elsewhere",
		o.Name, err, dir, quantity.Bytes(free+o.written))
}

// cause is an error without the name of a file that nobody has given.
func cause(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}

// finish has what was written stored.
func (o *File) finish() error {
	if o.Kind != toFile {
		if o.closer == nil {
			return nil
		}
		err := o.explain(o.closer.Close())
		o.closer = nil
		return err
	}
	return o.explain(errors.Join(cause(o.file.Chmod(o.mode)), cause(o.file.Sync())))
}

// publish gives a file its name.
func (o *File) publish() error {
	if o.Kind != toFile {
		return nil
	}
	if o.temp == "" {
		err := nameFile(o.file, o.Path)
		if err == nil {
			return o.close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", o.Name, cause(err))
		}
		// linkat(2) does not replace what is there; rename(2) does, and wants a name.
		if err := o.nameAside(); err != nil {
			return fmt.Errorf("%s: %w", o.Name, cause(err))
		}
	}
	if err := os.Rename(o.temp, o.Path); err != nil {
		return fmt.Errorf("%s: %w", o.Name, errors.Unwrap(err))
	}
	o.temp = ""
	return o.close()
}

// nameAside gives a file without a name one that is not in use.
func (o *File) nameAside() error {
	lockFile(o.file)
	var err error
	for range 100 {
		at := filepath.Join(filepath.Dir(o.Path), fmt.Sprintf("%s%d%s", unfinishedPrefix, rand.Uint64(),
			unfinishedSuffix))
		if err = nameFile(o.file, at); err == nil {
			o.temp = at
			return nil
		}
		if !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return err
}

func (o *File) close() error {
	if o.closer == nil {
		return nil
	}
	err := o.closer.Close()
	o.closer = nil
	return o.explain(err)
}

// discard removes what was not published.
func (o *File) discard() error {
	_ = o.close() // nobody wants what was written
	if o.temp == "" {
		return nil
	}
	if err := os.Remove(o.temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove half a file: %w", err)
	}
	o.temp = ""
	return nil
}

// removeLeftovers removes what builds that were killed have left in a directory: files of the name for unfinished
// ones that no process holds the lock of. What cannot be removed costs space, not the build.
func removeLeftovers(dir string) {
	entries, _ := os.ReadDir(dir) // where nothing can be read, creating the output says more
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), unfinishedPrefix) || !strings.HasSuffix(e.Name(), unfinishedSuffix) ||
			!e.Type().IsRegular() {
			continue
		}
		removeLeftover(filepath.Join(dir, e.Name()))
	}
}

func removeLeftover(path string) {
	f, err := os.Open(path)
	if err != nil {
		return
	}
	defer f.Close() //nolint:errcheck // nothing was written
	held, err := f.Stat()
	if err != nil || !held.Mode().IsRegular() || time.Since(held.ModTime()) < leftAlone || !lockFile(f) {
		return
	}
	// Under the lock: whoever has begun it since looks whether it has a name still.
	if now, err := os.Lstat(path); err == nil && os.SameFile(held, now) {
		_ = os.Remove(path) // a directory of somebody else's
	}
}

// Write writes a whole output at once.
func (o *Set) Write(ctx context.Context, name string, mode fs.FileMode, text bool, data []byte) error {
	out, err := o.Open(ctx, name, mode, text)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}
