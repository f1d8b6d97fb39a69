// Package outfile replaces files as a whole: a reader gets the old text or the new, and of two
// simultaneous writers the later one wins.
package outfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// Replace makes the file of that path hold data, with that mode whatever the umask. The data is stored before it gets
// its name, so that a power cut leaves no empty file; where it cannot be, the file is as it was.
//
// google/renameio does the same, and besides that looks for a directory for the unfinished file: more than is wanted.
func Replace(path string, data []byte, mode fs.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
