package build

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// facts are what lstat(2) says of a file of the build machine.
type facts struct {
	stamp
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
		stamp: stamp{
			dev: unix.Mkdev(st.Dev_major, st.Dev_minor), ino: st.Ino,
			size:  int64(st.Size), //nolint:gosec // as of stat(2)
			mtime: st.Mtime.Sec*1e9 + int64(st.Mtime.Nsec),
		},
		mode: uint32(st.Mode), uid: st.Uid, gid: st.Gid, nlink: uint64(st.Nlink),
		major: st.Rdev_major, minor: st.Rdev_minor,
	}
	f.mount.dev = f.dev
	if st.Mask&unix.STATX_MNT_ID != 0 {
		f.mount.id = st.Mnt_id
	}
	return f, nil
}

func stampOf(st *unix.Stat_t) stamp {
	return stamp{dev: st.Dev, ino: st.Ino, size: st.Size,
		mtime: st.Mtim.Nano()} //nolint:unconvert,nolintlint // 32 bits on some
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

// A sourceFile is a source that is being read.
type sourceFile struct {
	*source
	f          *os.File
	at         int64
	data, hole int64 // at lies in data from data to hole, or in a hole before data
	dense      bool
}

// openSource opens a source, if it is still what it was.
func openSource(s *source) (*sourceFile, error) {
	fd, err := unix.Open(s.at, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("add %s: it is no longer there: %w", s.at, errChanged)
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("add %s: a link took its place: %w", s.at, errChanged)
	case err != nil:
		return nil, fmt.Errorf("add %s: open it: %w", s.at, err)
	}
	o := &sourceFile{source: s, f: os.NewFile(uintptr(fd), s.at)} //nolint:gosec // a descriptor
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, errors.Join(fmt.Errorf("add %s: stat: %w", s.at, err), o.close())
	}
	if err := s.changed(stampOf(&st)); err != nil {
		return nil, errors.Join(err, o.close())
	}
	o.dense = st.Blocks*512 >= st.Size
	return o, nil
}

// Read reads on. What lies in holes is not read from disk (lseek(2), SEEK_DATA).
func (o *sourceFile) Read(p []byte) (int, error) {
	left := o.stamp.size - o.at
	if left <= 0 {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), left)]
	if !o.dense && o.at >= o.hole {
		if err := o.seek(); err != nil {
			return 0, err
		}
	}
	if !o.dense {
		if o.at < o.data {
			p = p[:min(int64(len(p)), o.data-o.at)]
			clear(p)
			o.at += int64(len(p))
			return len(p), nil
		}
		p = p[:min(int64(len(p)), o.hole-o.at)]
	}
	n, err := o.f.ReadAt(p, o.at)
	o.at += int64(n)
	if n == 0 && errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("add %s: it ends after %d of %d bytes: %w", o.source.at, o.at, o.stamp.size, errChanged)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("add %s: %w", o.source.at, err)
	}
	return n, nil
}

// seek finds the next stretch of data, and where it ends.
func (o *sourceFile) seek() error {
	fd := int(o.f.Fd()) //nolint:gosec // a descriptor
	data, err := unix.Seek(fd, o.at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // nothing but a hole up to the end
		o.data, o.hole = o.stamp.size, o.stamp.size
		return nil
	case errors.Is(err, unix.EINVAL): // this file system tells no holes
		o.dense = true
		return nil
	case err != nil:
		return fmt.Errorf("add %s: look for its data: %w", o.source.at, err)
	}
	hole, err := unix.Seek(fd, data, unix.SEEK_HOLE)
	if err != nil {
		return fmt.Errorf("add %s: look for its holes: %w", o.source.at, err)
	}
	o.data, o.hole = min(data, o.stamp.size), min(hole, o.stamp.size)
	return nil
}

// end closes a source that has been read, and makes sure that it is what it was.
func (o *sourceFile) end() error {
	var st unix.Stat_t
	err := unix.Fstat(int(o.f.Fd()), &st) //nolint:gosec // a descriptor
	if err != nil {
		err = fmt.Errorf("add %s: stat: %w", o.source.at, err)
	} else {
		err = o.changed(stampOf(&st))
	}
	return errors.Join(err, o.close())
}

func (o *sourceFile) close() error { return o.f.Close() }
