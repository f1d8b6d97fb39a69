package build

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
)

// A sizeWriter counts what is written to it.
type sizeWriter struct{ n int64 }

func (w *sizeWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
}

// Permissions of images: they are served by TFTP and HTTP, by users other than their maker.
const imageMode = 0o644

// Names of files that are not complete, where they need one. Nobody asks a server for them.
const (
	unfinishedPrefix = ".nodisk-"
	unfinishedSuffix = ".part"
)

// leftAlone is how long ago the last byte of a file without a lock must have been written for it to count as left
// after: a file system of the network may know no locks of other machines.
const leftAlone = time.Minute

// outputs are the files of a build. Those that are files are there under their names when all are complete, and
// not before; what goes to a pipe goes there at once.
type outputs struct {
	stdout io.Writer      // what [Stdout] means; nil: the standard output
	tell   func(s string) // is told what is waited for; may be nil
	list   []*output
}

// open begins an output. A terminal is refused unless what is written is text.
func (o *outputs) open(ctx context.Context, name string, mode fs.FileMode, text bool) (*output, error) {
	d, err := findDestination(name)
	if err != nil {
		return nil, err
	}
	one := &output{destination: d, mode: mode}
	switch d.kind {
	case toFile:
		err = one.create()
	default:
		if d.kind == toPipe && o.tell != nil {
			o.tell("opening " + name + " for its reader")
		}
		err = one.stream(ctx, o.stdout, text)
	}
	if err != nil {
		return nil, err
	}
	o.list = append(o.list, one)
	return one, nil
}

// commit puts all files into place.
func (o *outputs) commit() error {
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

// discard removes what was not committed.
func (o *outputs) discard() error {
	var errs []error
	for _, one := range o.list {
		errs = append(errs, one.discard())
	}
	return errors.Join(errs...)
}

// An output is one file that a build writes, of whatever kind.
type output struct {
	destination

	mode    fs.FileMode
	w       io.Writer
	file    *os.File // of toFile
	temp    string   // its name until it is complete; empty: it has none
	closer  io.Closer
	written int64
}

// create begins a file in the directory where it will be.
func (o *output) create() error {
	dir := filepath.Dir(o.path)
	removeLeftovers(dir)
	f, err := unnamedFile(dir, o.path)
	if err != nil { // not every file system can; what else is wrong is wrong for the next, too
		return o.createNamed(dir)
	}
	o.file, o.w, o.closer = f, f, f
	return nil
}

// createNamed begins a file under a name that says what it is.
func (o *output) createNamed(dir string) error {
	for range 3 {
		f, err := os.CreateTemp(dir, unfinishedPrefix+"*"+unfinishedSuffix)
		if err != nil {
			return fmt.Errorf("%s: %w", o.name, cause(err))
		}
		lockFile(f)
		named, err := hasName(f)
		if named && err == nil {
			o.file, o.w, o.closer, o.temp = f, f, f, f.Name()
			return nil
		}
		// Another nodisk took it for a leftover, before it was locked.
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("%s: %w", o.name, cause(err))
		}
	}
	return fmt.Errorf("%s: what is begun in %s does not stay there: somebody removes it", o.name, dir)
}

// stream begins what is written as it comes.
func (o *output) stream(ctx context.Context, stdout io.Writer, text bool) error {
	if stdout == nil {
		stdout = os.Stdout
	}
	if o.kind != toStdout || escape.Bottom(stdout) == io.Writer(os.Stdout) {
		if err := o.takes(text); err != nil {
			return err
		}
	}
	var err error
	if o.w, o.closer, err = o.open(ctx.Done(), stdout); err != nil {
		if errors.Is(err, errNoReader) {
			return fmt.Errorf("%s: %w: %w", o.name, err, ctx.Err())
		}
		return fmt.Errorf("%s: %w", o.name, cause(err))
	}
	return nil
}

// Write writes to the output.
func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	o.written += int64(n)
	return n, o.explain(err)
}

// explain names the output in an error of writing, and the space there is when that was too little.
func (o *output) explain(err error) error {
	if err == nil {
		return nil
	}
	err = cause(err)
	if o.kind != toFile || !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%s: %w", OutputName(o.name), err)
	}
	dir := filepath.Dir(o.path)
	free, freeErr := freeBytes(dir)
	if freeErr != nil {
		return fmt.Errorf("%s: %w (after %s); %w", o.name, err, bytesText(o.written), freeErr)
	}
	return fmt.Errorf("%s: %w: the file system of %s has %s free without it, and this needs more: make room, or give "+
		"a path elsewhere",
		o.name, err, dir, bytesText(free+o.written))
}

// cause is an error without the name of a file that nobody has given.
func cause(err error) error {
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		return of.Err
	}
	return err
}

// finish has what was written stored.
func (o *output) finish() error {
	if o.kind != toFile {
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
func (o *output) publish() error {
	if o.kind != toFile {
		return nil
	}
	if o.temp == "" {
		err := nameFile(o.file, o.path)
		if err == nil {
			return o.close()
		}
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("%s: %w", o.name, cause(err))
		}
		// linkat(2) does not replace what is there; rename(2) does, and wants a name.
		if err := o.nameAside(); err != nil {
			return fmt.Errorf("%s: %w", o.name, cause(err))
		}
	}
	if err := os.Rename(o.temp, o.path); err != nil {
		return fmt.Errorf("%s: %w", o.name, errors.Unwrap(err))
	}
	o.temp = ""
	return o.close()
}

// nameAside gives a file without a name one that is not in use.
func (o *output) nameAside() error {
	lockFile(o.file)
	var err error
	for range 100 {
		at := filepath.Join(filepath.Dir(o.path), fmt.Sprintf("%s%d%s", unfinishedPrefix, rand.Uint64(),
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

func (o *output) close() error {
	if o.closer == nil {
		return nil
	}
	err := o.closer.Close()
	o.closer = nil
	return o.explain(err)
}

// discard removes what was not published.
func (o *output) discard() error {
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

// write writes a whole output at once.
func (o *outputs) write(ctx context.Context, name string, mode fs.FileMode, text bool, data []byte) error {
	out, err := o.open(ctx, name, mode, text)
	if err != nil {
		return err
	}
	_, err = out.Write(data)
	return err
}
