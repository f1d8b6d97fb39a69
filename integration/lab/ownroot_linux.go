package lab

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/nodisk/nodisk/integration/tool"
)

// A nodeDisk is a file for tgtd.
type nodeDisk struct {
	path string
	lose func() error
}

// diskOf makes the disk of a node.
func (l *Lab) diskOf(ctx context.Context, s BootSpec, n *Network) (nodeDisk, error) {
	switch {
	case s.Disk != "":
		return l.snapshotLUN(ctx, s)
	case s.Tree != "":
		return l.treeLUN(ctx, s.Tree)
	}
	image, err := l.Disk(ctx, n.Bridge())
	return nodeDisk{path: image, lose: func() error { return os.Remove(image) }}, err
}

// treeLUN copies a tree into an ext4 image, in TMPDIR: trees are larger than what the
// lab's memory should hold.
func (l *Lab) treeLUN(ctx context.Context, tree string) (disk nodeDisk, err error) {
	alone, unmount, err := without(tree)
	if err != nil {
		return nodeDisk{}, fmt.Errorf("copy %s: %w", tree, err)
	}
	defer func() { err = errors.Join(err, unmount()) }()
	size, err := measure(ctx, alone)
	if err != nil {
		return nodeDisk{}, fmt.Errorf("measure tree %s: %w", tree, err)
	}
	image, lose, err := scratch()
	if err != nil {
		return nodeDisk{}, err
	}
	if err := room(os.TempDir(), size.bytes); err != nil {
		return nodeDisk{}, errors.Join(fmt.Errorf("copy %s: %w", tree, err), lose())
	}
	l.Log().Info("copy the tree into an ext4 image", "tree", tree, "MB", size.bytes/1e6, "files", size.files)
	if err := treeDisk(ctx, alone, image, size); err != nil {
		return nodeDisk{}, errors.Join(fmt.Errorf("copy %s: %w", tree, err), lose())
	}
	return nodeDisk{path: image, lose: lose}, nil
}

// scratch makes a large file in TMPDIR. It has no name there, so that nothing is left of it
// whatever ends the lab; path is of the open file (proc_pid_fd(5)), for the lab's own programs.
func scratch() (path string, lose func() error, err error) {
	f, err := os.CreateTemp("", "nodisk-boot-")
	if err != nil {
		return "", nil, fmt.Errorf("make a file for copies: %w (TMPDIR names another place)", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		return "", nil, errors.Join(fmt.Errorf("make a file for copies: %w", err), f.Close())
	}
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), f.Fd()), f.Close, nil
}

// room returns an error where a directory has not that many bytes left.
func room(dir string, need int64) error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return fmt.Errorf("look at %s: %w", dir, err)
	}
	if left := int64(s.Bavail) * s.Bsize; left < need {
		return fmt.Errorf("it takes %d MB, and %s has %d MB left: set TMPDIR to a directory with more room, or take "+
			"--root nfs4, which copies nothing",
			need/1e6, dir, left/1e6)
	}
	return nil
}

// A treeSize is what a tree takes.
type treeSize struct{ bytes, files int64 }

// measure adds up the blocks of a tree, as long as ctx lasts. Hard links count each time.
func measure(ctx context.Context, tree string) (treeSize, error) {
	var size treeSize
	err := fs.WalkDir(os.DirFS(tree), ".", func(_ string, d fs.DirEntry, err error) error {
		if err = errors.Join(context.Cause(ctx), err); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		size.files++
		const block = 4096
		size.bytes += block // of its directory entry and inode, at most
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && info.Mode().IsRegular() {
			held := min(stat.Blocks*512, stat.Size)
			size.bytes += (held + block - 1) / block * block
		}
		return nil
	})
	if errors.Is(err, fs.ErrPermission) && !rootOutside() {
		err = fmt.Errorf("%w: another user's file, run it as root (sudo)", err)
	}
	return size, err
}

// treeDisk makes an ext4 image of a tree with room to write. The file is sparse.
func treeDisk(ctx context.Context, tree, image string, size treeSize) error {
	const free = 512 << 20
	bytes := size.bytes + size.bytes/8 + free
	err := tool.Mke2fs().Run(ctx, "-q", "-F", "-t", "ext4", "-m", "0", "-L", RootLabel, "-U", RootUUID,
		"-N", strconv.FormatInt(size.files+size.files/4+16384, 10), "-d", tree, image,
		strconv.FormatInt(bytes>>20, 10)+"M")
	if err != nil {
		return fmt.Errorf("make root disk of %s: %w", tree, err)
	}
	return nil
}

// exported returns the directory that the NFS server exports to a node. A tree is the
// lower layer of an overlay: what the node writes is lost.
func (l *Lab) exported(s BootSpec) (string, error) {
	switch {
	case s.Export != "":
		return filepath.Abs(s.Export)
	case s.Tree == "":
		return l.Tree()
	}
	merged, unmount, err := overlay(s.Tree)
	if err != nil {
		return "", fmt.Errorf("lay a snapshot over %s: %w", s.Tree, err)
	}
	l.unmount = append(l.unmount, unmount)
	return merged, nil
}

// without shows a tree, read-only, without what is mounted below it, at another path. That is not
// in the lab's directory: what is deleted with that must never be a mount of a user's tree.
func without(tree string) (alone string, unmount func() error, err error) {
	dir, err := os.MkdirTemp("/run", "nodisk-tree-")
	if err != nil {
		return "", nil, err
	}
	alone = filepath.Join(dir, "lower")
	if err := os.Mkdir(alone, 0o755); err != nil {
		return "", nil, err
	}
	if err := syscall.Mount(tree, alone, "", syscall.MS_BIND, ""); err != nil {
		return "", nil, fmt.Errorf("mount it without what is mounted below: %w", err)
	}
	unmount = func() error { return syscall.Unmount(alone, 0) }
	// Whatever goes wrong, nothing writes to the tree. In a user namespace its other flags are locked
	// (mount_namespaces(7)).
	const locked = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC | syscall.MS_NOATIME | syscall.MS_NODIRATIME
	var is syscall.Statfs_t
	err = syscall.Statfs(alone, &is)
	if err == nil {
		flags := uintptr(
			is.Flags)&locked | syscall.MS_REMOUNT | syscall.MS_BIND | syscall.MS_RDONLY //nolint:gosec // flags
		err = syscall.Mount("", alone, "", flags, "")
	}
	if err != nil {
		return "", nil, errors.Join(fmt.Errorf("mount it read-only: %w", err), unmount())
	}
	return alone, unmount, nil
}

// overlay mounts what looks like a tree, and keeps what is written to it in memory.
func overlay(tree string) (merged string, unmount func() error, err error) {
	// By another name, because overlayfs separates options by commas and layers by colons.
	lower, release, err := without(tree)
	if err != nil {
		return "", nil, err
	}
	dir := filepath.Dir(lower)
	merged, upper, work := filepath.Join(dir, "merged"), filepath.Join(dir, "upper"), filepath.Join(dir, "work")
	for _, dir := range []string{merged, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", nil, errors.Join(err, release())
		}
	}
	if err := sameOwner(tree, upper); err != nil {
		return "", nil, errors.Join(err, release())
	}
	// Handles, which an NFS server gives out, need index and nfs_export; without xino files
	// of the tree are on another device than directories, and the node sees a mount in each
	// (Documentation/filesystems/overlayfs.rst).
	options := strings.Join([]string{
		"lowerdir=" + lower, "upperdir=" + upper, "workdir=" + work, "index=on",
		"nfs_export=on", "xino=on",
	}, ",")
	if err := syscall.Mount("nodisk-lab", merged, "overlay", 0, options); err != nil {
		err = fmt.Errorf("mount overlay: %w: its file system or this kernel cannot do it, take --root iscsi, which "+
			"copies the tree", err)
		return "", nil, errors.Join(err, release())
	}
	return merged, func() error { return errors.Join(syscall.Unmount(merged, 0), release()) }, nil
}

// sameOwner gives the top of the upper layer, which is what is seen, the owner and the
// permissions of the tree's.
func sameOwner(tree, upper string) error {
	info, err := os.Stat(tree)
	if err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		if err := os.Chown(upper, int(stat.Uid), int(stat.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(upper, info.Mode().Perm())
}
