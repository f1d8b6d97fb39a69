package lab

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// FUSE is the device by which a snapshot of a disk becomes a file that tgtd can open.
const FUSE = "/dev/fuse"

// HasFUSE reports whether this user may make such files.
func HasFUSE() bool {
	f, err := os.OpenFile(FUSE, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	return f.Close() == nil
}

// A snapshot is a qcow2 file over a disk, which is opened read-only.
type snapshot struct {
	path   string
	disk   string
	format string // of the disk: raw, qcow2, vmdk ...
	lose   func() error
}

// snapshot lays a file in TMPDIR over a disk image or block device. format is what the user says that it is; empty:
// nothing.
func (l *Lab) snapshot(ctx context.Context, disk, format string) (snapshot, error) {
	abs, err := filepath.Abs(disk)
	if err != nil {
		return snapshot{}, fmt.Errorf("lay a snapshot over %s: %w", disk, err)
	}
	if format == "" {
		if format, err = guessFormat(ctx, abs); err != nil {
			return snapshot{}, err
		}
	}
	path, lose, err := scratch()
	if err != nil {
		return snapshot{}, err
	}
	s := snapshot{path: path, disk: abs, format: format, lose: lose}
	if err := tool.QEMUImg().Run(ctx, "create", "-q", "-f", "qcow2", "-F", format, "-b", abs, s.path); err != nil {
		return snapshot{}, errors.Join(fmt.Errorf("lay a snapshot over %s: %w", disk, err), lose())
	}
	l.Log().Info("snapshot of the disk", "disk", abs, "format", format, "snapshot", s.path)
	return s, nil
}

// A diskInfo is what qemu-img info says of a disk image (ImageInfo in QEMU's qapi/block-core.json).
type diskInfo struct {
	Format   string `json:"format"`
	Filename string `json:"filename"`
	Backing  string `json:"backing-filename"`
	Specific struct {
		Data struct {
			DataFile string `json:"data-file"` // of qcow2
			Extents  []struct {
				Filename string `json:"filename"`
			} `json:"extents"` // of vmdk
		} `json:"data"`
	} `json:"format-specific"`
}

// other is a file that an image says to hold a part of it; empty: there is none.
func (i diskInfo) other() string {
	for _, name := range []string{i.Backing, i.Specific.Data.DataFile} {
		if name != "" {
			return name
		}
	}
	for _, e := range i.Specific.Data.Extents {
		if e.Filename != i.Filename {
			return e.Filename
		}
	}
	return ""
}

// guessFormat asks qemu-img what a file is; it may be in use. Who could write to a raw disk, as a node can, could
// make it look like an image that has its content in another file of this machine: that is not taken on a guess.
func guessFormat(ctx context.Context, disk string) (string, error) {
	st, err := os.Stat(disk)
	if err != nil {
		return "", fmt.Errorf("look at disk: %w", err)
	}
	if st.Mode()&os.ModeDevice != 0 {
		return "raw", nil
	}
	path, err := tool.QEMUImg().Find()
	if err != nil {
		return "", err
	}
	out, err := exec.CommandContext(ctx, path, "info", "-U", "--output=json", disk).Output()
	if err != nil {
		said := ""
		if exit, ok := errors.AsType[*exec.ExitError](err); ok {
			said = ": " + strings.TrimSpace(string(exit.Stderr))
		}
		return "", fmt.Errorf("look at disk %s: %w%s", disk, err, said)
	}
	var info diskInfo
	if err := json.Unmarshal(out, &info); err != nil {
		return "", fmt.Errorf("look at disk %s: parse what qemu-img says: %w", disk, err)
	}
	if other := info.other(); other != "" {
		return "", fmt.Errorf("disk %s looks like %s with content in another file, %q, which the node would read: "+
			"give --disk-format %s if that is meant, or --disk-format raw if this is a raw disk",
			disk, info.Format, other, info.Format)
	}
	return info.Format, nil
}

// snapshotLUN makes a snapshot of a disk a file for tgtd, by qemu-storage-daemon's FUSE
// export.
func (l *Lab) snapshotLUN(ctx context.Context, s BootSpec) (nodeDisk, error) {
	snap, err := l.snapshot(ctx, s.Disk, s.DiskFormat)
	if err != nil {
		return nodeDisk{}, err
	}
	file := l.Path("disk-" + filepath.Base(snap.path)) // the number of an open file
	ready := file + ".pid"
	if err := os.WriteFile(file, nil, 0o600); err != nil { // what is mounted on
		return nodeDisk{}, errors.Join(fmt.Errorf("export snapshot: %w", err), snap.lose())
	}
	p, err := l.Start(tool.StorageDaemon(), nil,
		"--blockdev", blockdev("driver", "file", "node-name", "file", "filename", snap.path),
		"--blockdev", blockdev("driver", "qcow2", "node-name", "disk", "file", "file"),
		"--export", blockdev("type", "fuse", "id", "disk", "node-name", "disk", "mountpoint", file, "writable", "on"),
		"--pidfile", ready)
	if err != nil {
		return nodeDisk{}, errors.Join(err, snap.lose())
	}
	// It writes its number when all is exported, and says nothing.
	err = tool.Poll(ctx, "qemu-storage-daemon", func(context.Context) error {
		select {
		case <-p.Done:
			return nil // told below
		default:
			_, err := os.Stat(ready)
			return err
		}
	})
	select {
	case <-p.Done:
		err = fmt.Errorf("export snapshot of %s: qemu-storage-daemon ended, status %d: %s",
			s.Disk, tool.ExitStatus(p.Err), transcript.Tail(p.Out.String(), 5))
	default:
	}
	if err != nil {
		p.Stop()
		return nodeDisk{}, errors.Join(err, snap.lose())
	}
	return nodeDisk{path: file, lose: func() error {
		p.Stop() // it takes its number away
		return errors.Join(os.Remove(file), snap.lose())
	}}, nil
}

// virtio returns the snapshot for a disk of the machine's own, and what root= says of it.
func (l *Lab) virtio(ctx context.Context, s BootSpec) (path, root string, lose func() error, err error) {
	snap, err := l.snapshot(ctx, s.Disk, s.DiskFormat)
	if err != nil {
		return "", "", nil, err
	}
	if s.names("root") || s.Cmdline != "" && !strings.Contains(s.Cmdline, "{disk}") {
		return snap.path, "", snap.lose, nil
	}
	if snap.format != "raw" {
		err = fmt.Errorf("look for the root on %s: not in a disk of the format %s: name it, as by --append "+
			"root=LABEL=NAME", s.Disk, snap.format)
		return "", "", nil, errors.Join(err, snap.lose())
	}
	f, err := os.Open(snap.disk)
	if err != nil {
		return "", "", nil, errors.Join(fmt.Errorf("look for the root: %w", err), snap.lose())
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		root, err = rootOn(f, size)
	}
	if err != nil {
		return "", "", nil, errors.Join(fmt.Errorf("look for the root on %s: %w", s.Disk, err), snap.lose())
	}
	return snap.path, root, snap.lose, nil
}

// rootTypes are the file systems that a root is in.
func rootTypes() []string {
	return []string{"ext2", "ext3", "ext4", "xfs", "btrfs", "squashfs", "erofs"}
}

// rootOn returns what root= says of a virtio disk: the disk's own file system, else its only
// partition with one. /init looks so at a disk behind iSCSI itself.
func rootOn(r io.ReaderAt, size int64) (string, error) {
	whole, err := rootfs.Probe(r, size, size)
	if err != nil {
		return "", err
	}
	if slices.Contains(rootTypes(), whole.Type) {
		return "/dev/vda", nil
	}
	table, err := rootfs.ParsePartitions(r, 0)
	if err != nil {
		return "", err
	}
	var roots, names []string
	for _, p := range table {
		fs, err := rootfs.Probe(io.NewSectionReader(r, p.Start, p.Size), p.Size, p.Size)
		if err != nil || !slices.Contains(rootTypes(), fs.Type) {
			continue
		}
		roots = append(roots, "PARTUUID="+p.UUID)
		names = append(names, strings.TrimSpace(fmt.Sprintf("partition %d, %s %s", p.Number, fs.Type, fs.Label)))
	}
	switch len(roots) {
	case 1:
		return roots[0], nil
	case 0:
		return "", errors.New("no file system of Linux is on it: name the root, as by --append root=/dev/vda2")
	}
	return "", fmt.Errorf("it has several file systems (%s): name the root, as by --append root=%s",
		strings.Join(names, "; "), roots[0])
}
