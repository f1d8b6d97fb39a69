// Package infile opens the files that a user names. A FIFO may be among them, a shell's <(COMMAND) for one, and
// nobody knows when its writer comes.
package infile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
	"time"
)

// Open opens a file to read it. For the writer of a FIFO it waits until ctx ends; the cause is the error then. What
// is not a regular file ends its reads with ctx, too, if the kernel tells when there is something to read.
func Open(ctx context.Context, name string) (*os.File, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	if info.Mode().IsRegular() || info.IsDir() {
		return f, nil
	}
	context.AfterFunc(ctx, func() {
		_ = f.SetReadDeadline(time.Unix(0, 1)) // closed, or of a kind that does not wait
	})
	if info.Mode()&fs.ModeNamedPipe == 0 {
		return f, nil
	}
	if err := awaitWriter(f); err != nil {
		if ctx.Err() != nil {
			err = &fs.PathError{Op: "open", Path: name, Err: context.Cause(ctx)}
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// ReadFile reads a file as [Open] opens it.
func ReadFile(ctx context.Context, name string) ([]byte, error) {
	f, err := Open(ctx, name)
	if err != nil {
		return nil, err
	}
	data, err := io.ReadAll(f)
	if errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() != nil {
		err = &fs.PathError{Op: "read", Path: name, Err: context.Cause(ctx)}
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	return data, nil
}

// Regular opens a file that is read more than once, or not from its beginning on. A file that
// cannot be read so is an error.
func Regular(name string) (*os.File, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fmt.Errorf("it is %s: give a file", kind(info.Mode()))}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// open does not wait for the other end of a FIFO (open(2), O_NONBLOCK).
func open(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
}

// kind is what an error calls what is not a regular file.
func kind(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe, which cannot be read twice"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "not a regular file"
}
