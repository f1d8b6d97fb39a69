package build

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/build/initramfs"
)

// facts are what lstat(2) says of a file of the build machine.
type facts struct {
	initramfs.Stamp
	mode         uint32 // st_mode
	uid, gid     uint32
	nlink        uint64
	major, minor uint32 // of a device
	mount        mount
}

// A mount is on what a file lies.
type mount struct {
	dev uint64
	id  uint64 // of mount_id in proc_pid_mountinfo(5), which tells bind mounts apart; before Linux 5.8: 0
}

func lstat(at string) (facts, error) {
	var st unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, at, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT,
		unix.STATX_BASIC_STATS|unix.STATX_MNT_ID, &st)
	if err != nil {
		return facts{}, &os.PathError{Op: "lstat", Path: at, Err: err}
	}
	f := facts{
		Stamp: initramfs.Stamp{
			Dev: unix.Mkdev(st.Dev_major, st.Dev_minor), Ino: st.Ino,
			Size:  int64(st.Size), //nolint:gosec // as of stat(2)
			MTime: st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec),
		},
		mode: uint32(st.Mode), uid: st.Uid, gid: st.Gid, nlink: uint64(st.Nlink),
		major: st.Rdev_major, minor: st.Rdev_minor,
	}
	f.mount.dev = f.Dev
	if st.Mask&unix.STATX_MNT_ID != 0 {
		f.mount.id = st.Mnt_id
	}
	return f, nil
}

// readable reports whether this process may read a file.
func readable(at string) bool {
	return unix.Faccessat(unix.AT_FDCWD, at, unix.R_OK, unix.AT_EACCESS) == nil
}

// attributes are the names of a file's extended attributes (xattr(7)). A file system
// without any, or a file that this process may not ask about, has none.
func attributes(at string) []string {
	var buf [1 << 10]byte
	n, err := unix.Llistxattr(at, buf[:])
	list := buf[:max(n, 0)]
	if errors.Is(err, unix.ERANGE) {
		list = make([]byte, 64<<10) // XATTR_LIST_MAX, include/uapi/linux/limits.h
		if n, err = unix.Llistxattr(at, list); err == nil {
			list = list[:n]
		}
	}
	if err != nil {
		return nil
	}
	return strings.FieldsFunc(string(list), func(r rune) bool { return r == 0 })
}
