package depmod

import (
	"errors"
	"io/fs"
	"path"
	"strings"
)

// maxLinks is the kernel's own limit (MAXSYMLINKS in include/linux/namei.h).
const maxLinks = 40

// Open opens a file below the root of fsys, to which its links, absolute ones too,
// lead.
func Open(fsys fs.FS, name string) (fs.File, error) {
	at, err := follow(fsys, name)
	if err != nil {
		return nil, err
	}
	info, err := fs.Lstat(fsys, at)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() && !info.IsDir() { // of a FIFO nobody knows when it could be opened
		return nil, &fs.PathError{Op: "open", Path: name, Err: errors.New("it is neither a file nor a directory")}
	}
	return fsys.Open(at)
}

// Resolve is the path without links of a file below the root of fsys, to which absolute links lead. An error
// of what is not there is [fs.ErrNotExist].
func Resolve(fsys fs.FS, name string) (string, error) { return follow(fsys, name) }

// follow resolves the links in a path. Absolute ones begin at the root of fsys,
// which on a file system such as os.DirFS they would not do by themselves. A
// file system that knows no links is taken as it is.
func follow(fsys fs.FS, name string) (string, error) {
	links, ok := fsys.(fs.ReadLinkFS)
	if !ok {
		_, err := fs.Stat(fsys, name)
		return name, err
	}
	done, rest := "", name
	for count := 0; rest != ""; {
		var part string
		part, rest, _ = strings.Cut(rest, "/")
		switch part {
		case "", ".":
			continue
		case "..":
			done = strings.TrimPrefix(path.Dir("/"+done), "/")
			continue
		}
		at := path.Join(done, part)
		info, err := links.Lstat(at)
		if err != nil {
			return "", err
		}
		if info.Mode().Type() != fs.ModeSymlink {
			done = at
			continue
		}
		if count++; count > maxLinks {
			return "", &fs.PathError{Op: "follow", Path: name, Err: errors.New("too many links")}
		}
		target, err := links.ReadLink(at)
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(target, "/") {
			done = ""
		}
		rest = target + "/" + rest
	}
	if done == "" {
		done = "."
	}
	return done, nil
}

// readLink is the target of a link, as it is written.
func readLink(fsys fs.FS, name string) string {
	if links, ok := fsys.(fs.ReadLinkFS); ok {
		if target, err := links.ReadLink(name); err == nil {
			return target
		}
	}
	return "?"
}
