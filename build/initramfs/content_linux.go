package initramfs

import (
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

func stampOf(st *unix.Stat_t) Stamp {
	return Stamp{
		Dev: st.Dev, Ino: st.Ino, Size: st.Size,
		MTime: st.Mtim.Nano(),
	} //nolint:unconvert,nolintlint // 32 bits on some
}

// A sourceFile is a source that is being read.
type sourceFile struct {
	*Content
	f          *os.File
	at         int64
	data, hole int64 // at lies in data from data to hole, or in a hole before data
	dense      bool
}

// openSource opens a source, if it is still what it was.
func openSource(s *Content) (*sourceFile, error) {
	fd, err := unix.Open(s.At, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, fmt.Errorf("add %s: it is no longer there: %w", s.At, errChanged)
	case errors.Is(err, unix.ELOOP):
		return nil, fmt.Errorf("add %s: a link took its place: %w", s.At, errChanged)
	case err != nil:
		return nil, fmt.Errorf("add %s: open it: %w", s.At, err)
	}
	o := &sourceFile{Content: s, f: os.NewFile(uintptr(fd), s.At)} //nolint:gosec // a descriptor
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return nil, errors.Join(fmt.Errorf("add %s: stat: %w", s.At, err), o.close())
	}
	if err := s.changed(stampOf(&st)); err != nil {
		return nil, errors.Join(err, o.close())
	}
	o.dense = st.Blocks*512 >= st.Size
	return o, nil
}

// Read reads on. What lies in holes is not read from disk (lseek(2), SEEK_DATA).
func (o *sourceFile) Read(p []byte) (int, error) {
	left := o.Stamp.Size - o.at
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
		return 0, fmt.Errorf("add %s: it ends after %d of %d bytes: %w", o.At, o.at, o.Stamp.Size, errChanged)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return n, fmt.Errorf("add %s: %w", o.At, err)
	}
	return n, nil
}

// seek finds the next stretch of data, and where it ends.
func (o *sourceFile) seek() error {
	fd := int(o.f.Fd()) //nolint:gosec // a descriptor
	data, err := unix.Seek(fd, o.at, unix.SEEK_DATA)
	switch {
	case errors.Is(err, unix.ENXIO): // nothing but a hole up to the end
		o.data, o.hole = o.Stamp.Size, o.Stamp.Size
		return nil
	case errors.Is(err, unix.EINVAL): // this file system tells no holes
		o.dense = true
		return nil
	case err != nil:
		return fmt.Errorf("add %s: look for its data: %w", o.At, err)
	}
	hole, err := unix.Seek(fd, data, unix.SEEK_HOLE)
	if err != nil {
		return fmt.Errorf("add %s: look for its holes: %w", o.At, err)
	}
	o.data, o.hole = min(data, o.Stamp.Size), min(hole, o.Stamp.Size)
	return nil
}

// end closes a source that has been read, and makes sure that it is what it was.
func (o *sourceFile) end() error {
	var st unix.Stat_t
	err := unix.Fstat(int(o.f.Fd()), &st) //nolint:gosec // a descriptor
	if err != nil {
		err = fmt.Errorf("add %s: stat: %w", o.At, err)
	} else {
		err = o.changed(stampOf(&st))
	}
	return errors.Join(err, o.close())
}

func (o *sourceFile) close() error { return o.f.Close() }
