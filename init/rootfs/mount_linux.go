package rootfs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A Mounted is a mount that was made.
type Mounted struct {
	Source   string // /dev/sda1 or 10.0.0.1:/srv/root
	Type     string // ext4, "nfs 4.2"
	Options  string // the data string that was passed
	ReadOnly bool
	Took     time.Duration
}

// String is for the stage line: ext4 of /dev/sda1, read-only.
func (m Mounted) String() string {
	access := "read-write"
	if m.ReadOnly {
		access = "read-only"
	}
	return m.Type + " of " + m.Source + ", " + access
}

// A BlockMount says how a block device is mounted.
type BlockMount struct {
	Dir      string // exists
	Types    string // rootfstype=: one or several with commas; empty: what the superblock says
	Options  string // rootflags=
	ReadOnly bool   // ro; an ro or rw in Options wins
	Modules  Modules
}

// MountBlock mounts a block device that FindBlock or FindOn found. A device that
// is write-protected is mounted read-only with a warning, as mount(8) does. The
// error of a refused mount quotes the kernel's log. When even that is refused
// because a journal would have to be replayed, it is mounted without. When ctx
// ends while the kernel still waits for the disk, the mount is given up, and
// undone should it succeed later.
func MountBlock(ctx context.Context, b Block, m BlockMount, log *slog.Logger) (Mounted, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	if err := b.usable(); err != nil {
		return Mounted{}, err
	}
	options, err := ParseMountOptions(m.Options, m.ReadOnly)
	if err != nil {
		return Mounted{}, fmt.Errorf("mount %s: %w", b.Path(), err)
	}
	for _, m := range b.Members {
		options.Data = strings.Join(append(splitOptions(options.Data), "device="+m.Path()), ",")
	}
	types := b.types(m.Types)
	if len(types) == 0 {
		return Mounted{}, fmt.Errorf(
			"mount %s: nothing on it that nodisk knows (%s): is it the right device? If so, name its type with "+
				"rootfstype=",
			b.Path(),
			b,
		)
	}
	var errs []error
	for _, t := range types {
		if err := m.Modules.load(ctx, t); err != nil {
			// mount(2) decides: the filesystem may be in the kernel.
			log.DebugContext(ctx, fmt.Sprintf("load %s: %v", t, err))
		}
		start := time.Now()
		done, err := mountBlock(ctx, b, t, m.Dir, options, log)
		if err == nil {
			done.Took = time.Since(start)
			return done, nil
		}
		errs = append(errs, err)
		if !errors.Is(err, unix.ENODEV) && !errors.Is(err, unix.EINVAL) {
			break // another type would meet the same
		}
	}
	return Mounted{}, errors.Join(errs...)
}

// types returns what to try. The superblock's type comes first when rootfstype= has it too, and
// alone when there is no rootfstype=. ext4's driver mounts ext2 and ext3 where these have none of
// their own, which is nearly everywhere.
func (b Block) types(wanted string) []string {
	if wanted == "" || wanted == "auto" {
		wanted = b.Filesystem.Type
	}
	var types []string
	for t := range strings.SplitSeq(wanted, ",") {
		switch t {
		case "":
		case b.Filesystem.Type:
			types = append([]string{t}, types...)
		default:
			types = append(types, t)
		}
	}
	if len(types) == 1 && (types[0] == "ext2" || types[0] == "ext3") {
		types = []string{"ext4", types[0]}
	}
	return types
}

func mountBlock(ctx context.Context, b Block, fstype, dir string, o MountOptions, log *slog.Logger) (Mounted, error) {
	said := openLog()
	defer func() { _ = said.Close() }()
	defer tellWait(
		log,
		fmt.Sprintf("the kernel mounts %s as %s: it replays a journal, or the disk is slow", b.Path(), fstype),
	)()
	err := mount(ctx, b.Path(), dir, fstype, o)
	if !o.ReadOnly() && writeProtected(err) {
		log.WarnContext(ctx, fmt.Sprintf("%s is write-protected: mounted read-only", b.Path()))
		o.Flags |= unix.MS_RDONLY
		err = mount(ctx, b.Path(), dir, fstype, o)
	}
	// A read-only mount replays the journal all the same, and a disk that
	// cannot be written refuses it.
	for _, word := range withoutReplay(fstype) {
		wantsToWrite := writeProtected(err) || b.WriteProtected && errors.Is(err, unix.EIO) // btrfs says EIO
		if !wantsToWrite {
			break
		}
		without := o
		without.Data = strings.Join(append(splitOptions(o.Data), word), ",")
		if again := mount(ctx, b.Path(), dir, fstype, without); again == nil {
			log.WarnContext(
				ctx,
				fmt.Sprintf("%s is write-protected and its journal is not empty: mounted without it (%s), "+
					"what was written last may be missing or damaged", b.Path(), word),
			)
			o, err = without, nil
		}
	}
	if err != nil {
		return Mounted{}, blockError(
			b,
			fstype,
			dir,
			o,
			err,
			about(said.Messages(), "("+b.Name+")", "device "+b.Name, b.Path(), logName(fstype)),
		)
	}
	done := Mounted{Source: b.Path(), Type: fstype, Options: o.Data, ReadOnly: o.ReadOnly()}
	// squashfs, erofs and filesystems with certain features are always read-only.
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err == nil {
		done.ReadOnly = st.Flags&unix.ST_RDONLY != 0
	}
	return done, nil
}

// tellWait reports every 10 s what is waited for, and for how long, until stop is called.
func tellWait(log *slog.Logger, what string) (stop func()) {
	over := make(chan struct{})
	go func() {
		ticks := time.NewTicker(progressEvery)
		defer ticks.Stop()
		begun := time.Now()
		for {
			select {
			case <-over:
				return
			case <-ticks.C:
				log.Info(fmt.Sprintf("still waiting: %s, %.0f s so far", what, time.Since(begun).Seconds()))
			}
		}
	}()
	return func() { close(over) }
}

func writeProtected(err error) bool {
	return errors.Is(err, unix.EROFS) || errors.Is(err, unix.EACCES)
}

// withoutReplay returns the options that mount a filesystem read-only with a
// journal that is not empty, the newest spelling first:
// Documentation/admin-guide/ext4.rst and xfs.rst, btrfs(5).
func withoutReplay(fstype string) []string {
	switch fstype {
	case "ext3", "ext4":
		return []string{"noload"}
	case "xfs", "f2fs":
		return []string{"norecovery"}
	case "btrfs":
		return []string{"rescue=nologreplay", "nologreplay"} // since Linux 5.9, and before
	}
	return nil
}

// logName is how a filesystem begins its messages in the kernel's log when it
// does not name the device in a way common to all.
func logName(fstype string) string {
	switch fstype {
	case "squashfs":
		return "SQUASHFS"
	case "vfat":
		return "FAT-fs"
	case "iso9660":
		return "ISOFS"
	}
	return fstype + ":"
}

// blockError puts errno into a sentence; said is the kernel's own.
func blockError(b Block, fstype, dir string, o MountOptions, err error, said string) error {
	why := ""
	switch {
	case errors.Is(err, unix.ENODEV):
		profile := fstype
		if fstype == "ext2" || fstype == "ext3" {
			profile = "ext4"
		}
		why = fmt.Sprintf("this kernel has no %s: add --profile %s to the image", fstype, profile)
	case errors.Is(err, unix.EINVAL):
		why = "not a valid " + fstype
		if o.Data != "" {
			why += fmt.Sprintf(", or an option it does not know (%s)", clip(o.Data, maxClip))
		}
	case errors.Is(err, unix.EBUSY):
		why = "it is mounted already, or something else holds it"
	case errors.Is(err, unix.ENOENT), errors.Is(err, unix.ENOTDIR):
		why = fmt.Sprintf("a kernel module that %s needs is not in the image", fstype)
		if _, err := os.Stat(dir); err != nil {
			why = "there is no directory " + dir
		} else if _, err := os.Stat(b.Path()); err != nil {
			why = "the device has gone"
		}
	case errors.Is(err, unix.ENXIO), errors.Is(err, unix.EIO):
		why = "the disk does not answer: look at the target or server, and at the network"
	case errors.Is(err, unix.EPERM):
		why = "not permitted"
	case writeProtected(err):
		why = "the disk is write-protected and the filesystem wants to write: rw, or a journal that is not empty"
	case errors.Is(err, unix.EUCLEAN):
		why = "the filesystem is damaged: check it on another machine (fsck)"
	}
	text := fmt.Sprintf("mount %s as %s", b.Path(), fstype)
	if why != "" {
		text += ": " + why
	}
	if said != "" {
		text += fmt.Sprintf(" (the kernel says %q)", said)
	}
	return fmt.Errorf("%s: %w", text, err)
}
