package initramfs

import (
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// makeNode makes a device or a FIFO: os.Root has no mknod. The directory is opened below
// root, and mknodat(2) does not follow a link at the last part of the path.
func makeNode(root *os.Root, name string, n *Inode) (err error) {
	dir, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, dir.Close()) }()
	device := unix.Mkdev(n.Major, n.Minor)
	if err := unix.Mknodat(int(dir.Fd()), path.Base(name), n.Mode&TypeMask|0o600,
		int(device)); err != nil { //nolint:gosec // as mknod(2) has it
		return &fs.PathError{Op: "mknod", Path: name, Err: err}
	}
	return nil
}
