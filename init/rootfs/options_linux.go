package rootfs

import (
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// MountOptions are mount options as mount(2) takes them: the generic ones as
// MS_* flags, the filesystem's own as text.
type MountOptions struct {
	Flags uintptr
	Data  string
}

// ReadOnly reports whether the mount will be read-only.
func (o MountOptions) ReadOnly() bool { return o.Flags&unix.MS_RDONLY != 0 }

// flagWord is the effect of a generic option on the flags.
type flagWord struct {
	set, clear uintptr
}

// genericOption looks an option up as mount(8) does, FILESYSTEM-INDEPENDENT MOUNT OPTIONS.
// Options that only mean something in fstab(5) have no effect.
func genericOption(word string) (f flagWord, known bool) {
	const atimes = unix.MS_NOATIME | unix.MS_RELATIME | unix.MS_STRICTATIME
	switch word {
	case "ro":
		return flagWord{set: unix.MS_RDONLY}, true
	case "rw":
		return flagWord{clear: unix.MS_RDONLY}, true
	case "nosuid":
		return flagWord{set: unix.MS_NOSUID}, true
	case "suid":
		return flagWord{clear: unix.MS_NOSUID}, true
	case "nodev":
		return flagWord{set: unix.MS_NODEV}, true
	case "dev":
		return flagWord{clear: unix.MS_NODEV}, true
	case "noexec":
		return flagWord{set: unix.MS_NOEXEC}, true
	case "exec":
		return flagWord{clear: unix.MS_NOEXEC}, true
	case "sync":
		return flagWord{set: unix.MS_SYNCHRONOUS}, true
	case "async":
		return flagWord{clear: unix.MS_SYNCHRONOUS}, true
	case "dirsync":
		return flagWord{set: unix.MS_DIRSYNC}, true
	case "noatime":
		return flagWord{set: unix.MS_NOATIME, clear: atimes}, true
	case "relatime":
		return flagWord{set: unix.MS_RELATIME, clear: atimes}, true
	case "strictatime":
		return flagWord{set: unix.MS_STRICTATIME, clear: atimes}, true
	case "atime":
		return flagWord{clear: unix.MS_NOATIME}, true
	case "norelatime":
		return flagWord{clear: unix.MS_RELATIME}, true
	case "nostrictatime":
		return flagWord{clear: unix.MS_STRICTATIME}, true
	case "nodiratime":
		return flagWord{set: unix.MS_NODIRATIME}, true
	case "diratime":
		return flagWord{clear: unix.MS_NODIRATIME}, true
	case "lazytime":
		return flagWord{set: unix.MS_LAZYTIME}, true
	case "nolazytime":
		return flagWord{clear: unix.MS_LAZYTIME}, true
	case "mand":
		return flagWord{set: unix.MS_MANDLOCK}, true
	case "nomand":
		return flagWord{clear: unix.MS_MANDLOCK}, true
	case "iversion":
		return flagWord{set: unix.MS_I_VERSION}, true
	case "noiversion":
		return flagWord{clear: unix.MS_I_VERSION}, true
	case "silent":
		return flagWord{set: unix.MS_SILENT}, true
	case "loud":
		return flagWord{clear: unix.MS_SILENT}, true
	case "nosymfollow":
		return flagWord{set: unix.MS_NOSYMFOLLOW}, true
	case "symfollow":
		return flagWord{clear: unix.MS_NOSYMFOLLOW}, true
	case "", "defaults", "auto", "noauto", "nofail", "_netdev", "user", "nouser", "users", "nousers", "owner", "group":
		return flagWord{}, true
	}
	if strings.HasPrefix(word, "x-") || strings.HasPrefix(word, "X-") || strings.HasPrefix(word, "comment=") {
		return flagWord{}, true
	}
	return flagWord{}, false
}

// ParseMountOptions reads options separated by commas, as in rootflags= and fstab. Later options
// win. A comma inside double quotes belongs to the option, as in
// context="system_u:object_r:x:s0:c1,c2". ReadOnly is where it starts from.
func ParseMountOptions(text string, readOnly bool) (MountOptions, error) {
	var (
		o    MountOptions
		data []string
	)
	if readOnly {
		o.Flags = unix.MS_RDONLY
	}
	for _, word := range splitOptions(text) {
		switch word {
		case "bind", "rbind", "move", "remount", "shared", "private", "slave", "unbindable", "loop":
			return MountOptions{}, fmt.Errorf(
				"mount option %q is not for a root: it does something other than mount a filesystem",
				word,
			)
		}
		f, known := genericOption(word)
		if !known {
			data = append(data, word)
		}
		o.Flags = o.Flags&^f.clear | f.set
	}
	o.Data = strings.Join(data, ",")
	// mount(2) takes one page, NUL included.
	if len(o.Data) > 4095 || strings.Contains(o.Data, "\x00") {
		return MountOptions{}, fmt.Errorf("mount options of %d bytes: at most 4095 without NUL fit", len(o.Data))
	}
	return o, nil
}
