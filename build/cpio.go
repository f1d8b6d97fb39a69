package build

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/u-root/u-root/pkg/cpio"
)

// writeCPIO writes files as a newc archive ("070701",
// Documentation/driver-api/early-userspace/buffer-format.rst): owner root, one time, inode
// numbers counted from 1. It returns where the content of each file ends, in bytes
// from the beginning of the archive, before its padding.
func writeCPIO(w io.Writer, files []file, mtime time.Time) ([]int, error) {
	seconds := mtime.Unix()
	if seconds < 0 || seconds > math.MaxUint32 {
		return nil, fmt.Errorf("write cpio: time %v does not fit a cpio archive (1970 to 2106)", mtime.UTC())
	}
	records := cpio.Newc.Writer(w)
	ends := make([]int, len(files))
	at := 0
	for i, f := range files {
		if len(f.data) > math.MaxUint32 {
			return nil, fmt.Errorf("write cpio: /%s has %d bytes, an archive holds 4 GiB a file", f.name, len(f.data))
		}
		r := cpio.Record{Info: cpio.Info{
			Ino: uint64(i + 1), Mode: uint64(f.mode), NLink: 1, MTime: uint64(seconds),
			FileSize: uint64(len(f.data)), Rmajor: uint64(f.major), Rminor: uint64(f.minor), Name: f.name,
		}}
		if f.mode&typeMask == typeDir {
			r.NLink = 2
		}
		if len(f.data) > 0 {
			r.ReaderAt = bytes.NewReader(f.data)
		}
		if err := records.WriteRecord(r); err != nil {
			return nil, fmt.Errorf("write cpio: /%s: %w", f.name, err)
		}
		at += cpioHeader + len(f.name) + 1
		at += -at&3 + len(f.data)
		ends[i] = at
		at += -at & 3
	}
	if err := cpio.WriteTrailer(records); err != nil {
		return nil, fmt.Errorf("write cpio: %w", err)
	}
	return ends, nil
}

// Limits of the kernel's reader (init/initramfs.c) and of ours.
const (
	cpioHeader  = 110
	cpioMaxName = 4096 // PATH_MAX
	cpioMaxLink = 4096
)

const cpioTrailer = "TRAILER!!!"
