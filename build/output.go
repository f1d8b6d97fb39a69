package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// A sizeWriter counts what is written to it.
type sizeWriter struct{ n int64 }

func (w *sizeWriter) Write(p []byte) (int, error) {
	w.n += int64(len(p))
	return len(p), nil
}

// An output is a file that is not there before it is complete.
type output struct {
	*os.File
	path string
	done bool
}

func newOutput(path string) (*output, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("write image: %s is not a regular file", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if _, missing := os.Stat(filepath.Dir(path)); errors.Is(missing, fs.ErrNotExist) {
		return nil, fmt.Errorf("write image %s: there is no folder %s", path, filepath.Dir(path))
	}
	if err != nil {
		return nil, fmt.Errorf("write image %s: %w", path, err)
	}
	return &output{File: f, path: path}, nil
}

// imageMode are the permissions of images: they are served by TFTP and HTTP, by users
// other than their maker.
const imageMode = 0o644

// commit gives the file its permissions and its name.
func (o *output) commit(mode fs.FileMode) error {
	err := errors.Join(o.Chmod(mode), o.Sync(), o.Close())
	if err == nil {
		err = os.Rename(o.Name(), o.path)
	}
	if err != nil {
		return fmt.Errorf("write image %s: %w", o.path, err)
	}
	o.done = true
	return nil
}

// discard removes what was not committed.
func (o *output) discard() error {
	if o.done {
		return nil
	}
	_ = o.Close() // commit may have done so
	if err := os.Remove(o.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove half an image: %w", err)
	}
	return nil
}
