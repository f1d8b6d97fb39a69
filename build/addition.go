package build

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// An Addition is a file or a folder of the build machine and its place in the
// image.
type Addition struct {
	Source      string
	Destination string // with or without a slash at the beginning
}

// UnmarshalText reads "SRC:DST", or "SRC" for the same place in the image.
func (a *Addition) UnmarshalText(text []byte) error {
	source, destination, ok := strings.Cut(string(text), ":")
	if !ok {
		abs, err := filepath.Abs(source)
		if err != nil {
			return err
		}
		destination = abs
	}
	if source == "" || destination == "" {
		return fmt.Errorf("%q is not SRC:DST, a file or folder here and its path in the image", text)
	}
	*a = Addition{Source: source, Destination: destination}
	return nil
}

// cleanName is a path in the image as the archive spells it: "/a//b/../c"
// becomes "a/c", "/" becomes "".
func cleanName(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// readAdditions reads files, folders with all below, and links. Permissions
// are kept, owners are not: in the image all is root's.
func readAdditions(list []Addition) ([]file, error) {
	var files []file
	for _, a := range list {
		// What was named itself is followed, what lies below is not.
		source, err := filepath.EvalSymlinks(a.Source)
		if err != nil {
			return nil, fmt.Errorf("add %s: %w", a.Source, err)
		}
		err = filepath.WalkDir(source, func(at string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			below, err := filepath.Rel(source, at)
			if err != nil {
				return err
			}
			f, err := readAddition(at, cleanName(filepath.ToSlash(filepath.Join(a.Destination, below))), d)
			if err == nil && f.name != "" {
				files = append(files, f)
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("add %s: %w", a.Source, err)
		}
	}
	return files, nil
}

func readAddition(at, name string, d fs.DirEntry) (file, error) {
	info, err := d.Info()
	if err != nil {
		return file{}, err
	}
	f := file{name: name, mode: uint32(info.Mode().Perm()), part: PartAdded}
	for bit, unix := range map[fs.FileMode]uint32{fs.ModeSetuid: 0o4000, fs.ModeSetgid: 0o2000, fs.ModeSticky: 0o1000} {
		if info.Mode()&bit != 0 {
			f.mode |= unix
		}
	}
	switch info.Mode().Type() {
	case 0:
		f.mode |= typeFile
		f.data, err = os.ReadFile(at)
	case fs.ModeDir:
		f.mode |= typeDir
	case fs.ModeSymlink:
		var target string
		target, err = os.Readlink(at)
		f.mode, f.data = typeLink|0o777, []byte(target)
	default:
		err = errors.New(at + " is neither a file nor a folder nor a link")
	}
	return f, err
}
