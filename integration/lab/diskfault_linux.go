package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/integration/tool"
)

// CheckDisk returns an error for what cannot be a disk.
func CheckDisk(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	switch mode := info.Mode(); {
	case mode.IsRegular(), mode.Type() == os.ModeDevice:
		return nil
	default:
		return fmt.Errorf("%s is neither a disk image nor a block device", name)
	}
}

// DiskFault says why no node finds its root on the disk of a specification, as far as that is
// seen from outside: only a raw disk can be looked into, and a root that is named may be
// anywhere on it. Empty: nothing is known. The error is what kept it from looking.
func DiskFault(ctx context.Context, s BootSpec) (string, error) {
	abs, err := filepath.Abs(s.Disk)
	if err != nil {
		return "", err
	}
	format := s.DiskFormat
	if format == "" {
		format, err = guessFormat(ctx, abs)
	}
	if _, lacks := errors.AsType[*tool.NotFound](err); lacks {
		return "", nil // Obstacles say it
	}
	if err != nil || format != "raw" {
		return "", err
	}
	f, err := os.Open(abs)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return "", err
	}
	if !s.names("root") && s.Cmdline == "" {
		if _, err := rootOn(f, size); err != nil {
			return fmt.Sprintf("%s: %v", s.Disk, err), nil
		}
		return "", nil
	}
	whole, err := rootfs.Probe(f, size, size)
	if err != nil || whole.Type != "" {
		return "", err
	}
	if table, err := rootfs.ParsePartitions(f, 0); err == nil && table == nil {
		return s.Disk + ": neither a file system nor a partition table that is known here is on it", nil
	}
	return "", nil
}
