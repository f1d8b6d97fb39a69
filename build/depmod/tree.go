package depmod

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// A treeFS shows directories of the machine as lib/modules/RELEASE.
type treeFS struct {
	dir     string
	release string
}

// Tree is a file system rooted at "/" in which dir, a directory of this machine,
// is lib/modules/RELEASE. Where dir has that place already it is the root
// around it, with /etc/depmod.d and all that links may lead to. Otherwise
// nothing else is in it but the directories beside dir, as trees of other releases.
func Tree(dir, release string) fs.FS {
	if root, ok := strings.CutSuffix(dir, "/lib/modules/"+release); ok {
		// Where /lib is a link to usr/lib, the root is above.
		if above, ok := strings.CutSuffix(root, "/usr"); ok {
			if _, err := os.Stat(above + "/lib/modules/" + release); err == nil {
				root = above
			}
		}
		return os.DirFS(root + "/")
	}
	return treeFS{dir: dir, release: release}
}

// place is where a name lies on the machine.
func (t treeFS) place(op, name string) (string, error) {
	if !fs.ValidPath(name) {
		return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	if below, ok := strings.CutPrefix(name+"/", "lib/modules/"); ok {
		release, rest, _ := strings.Cut(below, "/")
		switch release {
		case t.release:
			return filepath.Join(t.dir, rest), nil
		case "":
		default:
			return filepath.Join(filepath.Dir(t.dir), release, rest), nil
		}
	}
	return "", &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist}
}

// Open opens a file or directory.
func (t treeFS) Open(name string) (fs.File, error) {
	at, err := t.place("open", name)
	if err != nil {
		return nil, err
	}
	return os.Open(at)
}

// Lstat tells about a name without following it. What is above the tree is a
// directory, and so is the tree itself.
func (t treeFS) Lstat(name string) (fs.FileInfo, error) {
	if name == "." || name == "lib" || name == "lib/modules" || name == "lib/modules/"+t.release {
		return os.Stat(t.dir)
	}
	at, err := t.place("lstat", name)
	if err != nil {
		return nil, err
	}
	return os.Lstat(at)
}

// ReadLink returns the target of a link.
func (t treeFS) ReadLink(name string) (string, error) {
	at, err := t.place("readlink", name)
	if err != nil {
		return "", err
	}
	return os.Readlink(at)
}
