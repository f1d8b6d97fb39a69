package lab

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"
)

// given reports whether the lab was given the root, to serve it.
func (s BootSpec) given() bool { return s.Tree != "" || s.Export != "" || s.Disk != "" }

// Own reports whether the root is somebody's, of which the lab knows no [Marker]: it was given,
// it is in the image, or the command line alone says where it is.
func (s BootSpec) Own() bool { return s.given() || s.Root == RootRAM || s.Root == RootNone }

// checkOwn finds contradictions in what is said of a root of one's own.
func (s BootSpec) checkOwn() error {
	var errs []error
	refuse := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("boot %s: "+format, append([]any{s.name()}, args...)...))
	}
	count := 0
	for _, given := range []string{s.Tree, s.Export, s.Disk} {
		if given != "" {
			count++
		}
	}
	if count > 1 {
		refuse("a tree, an NFS export and a disk are three roots: give one of them")
	}
	if s.Tree != "" && s.Root != RootISCSI && s.Root != RootNFS3 && s.Root != RootNFS4 {
		refuse("a tree goes with the roots iscsi, nfs3 and nfs4, not %v (a root in RAM is in the image: nodisk "+
			"build --add DIR:/)", s.Root)
	}
	if s.Export != "" && s.Root != RootNFS3 && s.Root != RootNFS4 {
		refuse("an NFS export goes with the roots nfs3 and nfs4, not %v", s.Root)
	}
	if s.Disk != "" && s.Root != RootISCSI && s.Root != RootVirtio {
		refuse("a disk goes with the roots iscsi and virtio, not %v", s.Root)
	}
	if s.DiskFormat != "" && s.Disk == "" {
		refuse("a disk format goes with a disk")
	}
	if s.Root == RootVirtio && s.Disk == "" {
		refuse("the root virtio is a disk: say which")
	}
	return errors.Join(errs...)
}

// CheckStart is Check of a node that is to start now.
func (s BootSpec) CheckStart() error {
	err := s.Check()
	if s.Interactive && s.Keyboard == nil {
		err = errors.Join(err, fmt.Errorf("boot %s: an interactive node wants a keyboard", s.name()))
	}
	return err
}

// RootWords adds what Root stands for to the arguments that name the address.
func (s BootSpec) RootWords(words string) string {
	switch s.Root {
	case RootISCSI:
		return words + " " + s.diskWords()
	case RootNFS3:
		return words + " root=/dev/nfs nfsroot={server}:{export},vers=3"
	case RootNFS4:
		if s.given() {
			// nfs-ganesha before 6.2 garbles files by NFS 4.2 (docs/cmdline.md).
			return words + " root=nfs4:{server}:{export}:vers=4.1"
		}
		return words + " root=nfs4:{server}:{export}"
	case RootVirtio:
		if s.names("root") {
			return "ip=off"
		}
		return "ip=off root={disk}"
	case RootRAM:
		return "root=/dev/ram"
	case RootNone:
		return ""
	default:
		return words
	}
}

// diskWords name the disk behind iSCSI, and the file system on it unless the arguments that
// were added do.
func (s BootSpec) diskWords() string {
	switch {
	case s.given() && s.names("root") && s.Static:
		return "netroot=iscsi:{server}::3260:1:{target}"
	case s.given() && s.names("root"):
		return "netroot=dhcp"
	case s.Static && s.Disk != "":
		return "root=iscsi:{server}::3260:1:{target}"
	case s.Static:
		return "netroot=iscsi:{server}::3260:1:{target} root=LABEL={label}"
	}
	return "root=dhcp"
}

// ownWords are those that a root of one's own has more. It is writable, as what it
// writes is lost, or is meant.
func (s BootSpec) ownWords() string {
	var words string
	if s.given() && !s.names("ro") && !s.names("rw") {
		words = " rw"
	}
	if s.Init != "" {
		words += " init=" + s.Init
	}
	return words
}

// names reports whether the arguments that were added have a key.
func (s BootSpec) names(key string) bool {
	for word := range strings.FieldsSeq(s.Append) {
		if name, _, _ := strings.Cut(word, "="); name == key {
			return true
		}
	}
	return false
}

// quiet reports whether the kernel keeps from its console what /init says.
func (s BootSpec) quiet() bool { return s.names("quiet") || s.names("loglevel") }

// How long a node may take. A distribution's root that is emulated takes minutes.
const (
	bootTimeout    = 3 * time.Minute
	ownRootTimeout = 10 * time.Minute
)

// limit bounds the whole boot. Somebody at the console has all the time there is.
func (s BootSpec) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	d := s.Timeout
	switch {
	case d == 0 && s.Interactive:
		return context.WithCancel(ctx)
	case d == 0 && s.Own():
		d = ownRootTimeout
	case d == 0:
		d = bootTimeout
	}
	return context.WithTimeoutCause(ctx, d, fmt.Errorf("the node had %v", d))
}

// prompted is what a root of one's own is expected to write when it is up: a login prompt,
// systemd's targets, busybox's askfirst, or the prompt of a shell (--init /bin/sh).
const prompted = `\blogin:$` +
	`|Reached target (multi-user\.target|graphical\.target|Multi-User System|Graphical Interface)` +
	`|Please press Enter to activate this console` +
	`|^[][\w@:~/. -]*[#$]$`

func prompt() *regexp.Regexp { return regexp.MustCompile(prompted) }

// switchLine is /init's last, of a root that is mounted. What other stages are called, a
// rescue shell among them, does not matter.
func switchLine() *regexp.Regexp {
	return regexp.MustCompile(`^nodisk: switch \(\d+/\d+\): to \S+`)
}
