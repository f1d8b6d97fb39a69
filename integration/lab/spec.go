package lab

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// NIC models, as QEMU calls them.
const (
	NICVirtio = "virtio-net-pci"
	NICE1000  = "e1000"
)

// A Root is where the lab puts the node's root. The zero value is invalid.
type Root int

// The roots that the lab offers.
const (
	_          Root = iota
	RootISCSI       // LUN 1 of a target of the node's own, ext4 with RootLabel and RootUUID
	RootNFS3        // export of nfs-ganesha, NFS version 3
	RootNFS4        // the same, version 4
	RootRAM         // the initramfs stays; the image must hold RootTree
	RootNone        // nothing: the command line is all the node gets
	RootVirtio      // a disk of the machine's own: virtio-blk, for BootSpec.Disk
)

// String returns the name that ParseRoot takes.
func (r Root) String() string {
	switch r {
	case RootISCSI:
		return "iscsi"
	case RootNFS3:
		return "nfs3"
	case RootNFS4:
		return "nfs4"
	case RootRAM:
		return "ram"
	case RootNone:
		return "none"
	case RootVirtio:
		return "virtio"
	default:
		return fmt.Sprintf("Root(%d)", int(r))
	}
}

// ParseRoot reads the name of a root.
func ParseRoot(s string) (Root, error) {
	for r := RootISCSI; r <= RootVirtio; r++ {
		if r.String() == s {
			return r, nil
		}
	}
	return 0, fmt.Errorf("root %q is unknown: use iscsi, nfs3, nfs4, ram, none or virtio", s)
}

// A BootSpec says which node to boot, and from what.
type BootSpec struct {
	Name   string // host name, default "node"
	Kernel string // bzImage
	Image  string // initramfs
	Root   Root
	// Arch is the node's processor in GOARCH's spelling: "amd64" (default) or
	// "arm64", which is emulated and has no PXE.
	Arch string
	// Tree is a directory that becomes the node's root in place of [RootTree], whose
	// programs are this machine's. It is never written to: RootISCSI has a copy, RootNFS3
	// and RootNFS4 have an overlay over it.
	Tree string
	// Export is a directory that RootNFS3 and RootNFS4 export as it is, read and write.
	Export string
	// Disk is a disk image in a format of QEMU's, or a block device, for RootISCSI and
	// RootVirtio. What the node writes goes elsewhere and is lost.
	Disk string
	// DiskFormat is the format of Disk as QEMU calls it. Empty: raw for a block device; an image
	// file is looked at, and must not name another file.
	DiskFormat string
	// Init is the root's init, empty for the usual ones.
	Init string

	// Static gives the node its address by ip= instead of DHCP.
	Static bool
	// PXE boots by the NIC's iPXE ROM and pxelinux. Otherwise QEMU loads kernel
	// and image itself, which saves some 20 s where the firmware is not the
	// subject.
	PXE bool
	// TFTP, with PXE, writes what is served in place of the lab's configuration of
	// pxelinux into the TFTP directory, which holds pxelinux, vmlinuz and image. It
	// gets the values of the placeholders. If it returns the path of a file, that
	// is dnsmasq's configuration in place of the lab's ranges, options and TFTP.
	TFTP func(dir string, values map[string]string) (conf string, err error)
	// Cmdline replaces the arguments that Root and Static stand for. In it, and in
	// Append, {server} {client} {gateway} {mask} {mac} {name} {target} {export}
	// {label} {uuid} stand for what the lab chose. See [BootSpec.Words].
	Cmdline string
	// Append is added after.
	Append string
	// RootPath is DHCP option 17, with the same placeholders. Empty means what
	// Root says (iSCSI and NFS over DHCP), "-" none.
	RootPath string
	// DHCPAfter delays the DHCP server until that long after the kernel has
	// started /init. Not with PXE.
	DHCPAfter time.Duration

	// IBFT makes the iSCSI Boot Firmware Table that the firmware leaves, without
	// the header of ACPI, of the values of the placeholders. Nil: it leaves none.
	IBFT func(values map[string]string) []byte

	NIC  string // NICVirtio (default) or another model of QEMU's
	NICs int    // number of them, default 1
	// Second gives the node one NIC more, on a network of its own, where the
	// server is {server1} and the node {client1}.
	Second bool
	Memory int // MiB, default 512
	CPUs   int // default 1

	// Board is QEMU's: "pc" (default), or "q35", which has PCI Express. Not with
	// PXE, and amd64 only.
	Board string
	// Devices are further -device arguments, such as "i6300esb".
	Devices []string
	// Icount makes guest time deterministic: one CPU, emulated, an instruction
	// is a nanosecond.
	Icount bool

	// Timeout bounds the whole boot, default 3 minutes. A node that reached
	// its root gets a little longer to switch itself off.
	Timeout time.Duration
	// Until is a regular expression: the node is switched off when a line of
	// its console matches. Empty means to let it end by itself.
	Until string
	// Replies are typed at the serial line. Type may have the same placeholders.
	Replies []Reply
	// Turns are in place of replies.
	Turns []Turn
	// Interactive gives the node a person's terminal: what Keyboard has is typed at the
	// serial line, where QEMU's own keys work too (Ctrl-a x ends it).
	Interactive bool
	Keyboard    io.ReadCloser // closed when the node has ended
	// Console gets what the node writes to its serial line, as it comes.
	Console io.Writer
	// Log is a file that gets the same, for later.
	Log string
}

// A Reply is what somebody types at a node's console, with the return key after
// it, when a line has been written that After, a regular expression, matches. Replies
// follow each other: each waits for a line after that of the one before.
type Reply struct{ After, Type string }

// A Turn is what happens to a node's servers when it has written a line that After,
// a regular expression, matches. Turns follow each other as replies do.
type Turn struct {
	After string
	Do    func(context.Context) error
}

func (s BootSpec) arch() string { return cmp.Or(s.Arch, "amd64") }
func (s BootSpec) name() string { return cmp.Or(s.Name, "node") }
func (s BootSpec) nic() string  { return cmp.Or(s.NIC, NICVirtio) }
func (s BootSpec) nics() int    { return cmp.Or(s.NICs, 1) }
func (s BootSpec) memory() int  { return cmp.Or(s.Memory, 512) }
func (s BootSpec) cpus() int    { return cmp.Or(s.CPUs, 1) }

// WithDefaults returns the specification with the name, the numbers and the limit that empty
// fields stand for.
func (s BootSpec) WithDefaults() BootSpec {
	s.Name, s.NIC, s.NICs, s.Timeout = s.name(), s.nic(), s.nics(), cmp.Or(s.Timeout, bootTimeout)
	return s
}

// UntilLine is what Until matches; nothing, where it is empty.
func (s BootSpec) UntilLine() (*regexp.Regexp, error) {
	return regexp.Compile(cmp.Or(s.Until, `$^.`))
}

// Check finds contradictions. That somebody's keyboard is missing is none yet.
func (s BootSpec) Check() error {
	var errs []error
	add := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if s.Kernel == "" || s.Image == "" {
		add("boot %s: kernel and image are needed", s.name())
	}
	if s.Root < RootISCSI || s.Root > RootVirtio {
		add("boot %s: say which root: iscsi, nfs3, nfs4, ram, none or virtio", s.name())
	}
	if s.arch() != "amd64" && s.arch() != "arm64" {
		add("boot %s: arch %q is neither amd64 nor arm64", s.name(), s.Arch)
	}
	if s.arch() != "amd64" && s.PXE {
		add("boot %s: PXE is for amd64", s.name())
	}
	errs = append(errs, s.checkOwn())
	for _, r := range s.Replies {
		if _, err := regexp.Compile(r.After); err != nil {
			add("boot %s: reply %q: %w", s.name(), r.Type, err)
		}
	}
	if s.Icount && s.cpus() != 1 {
		add("boot %s: deterministic time (icount) goes with one CPU, not %d", s.name(), s.cpus())
	}
	if s.TFTP != nil && !s.PXE {
		add("boot %s: a TFTP directory goes with PXE", s.name())
	}
	if s.PXE && s.DHCPAfter > 0 {
		add("boot %s: PXE needs the DHCP server from the beginning", s.name())
	}
	return errors.Join(errs...)
}

// Words returns the part of the command line that names address and root, with
// placeholders: Cmdline when it is set, else what Root and Static stand for.
func (s BootSpec) Words() string {
	if s.Cmdline != "" {
		return s.Cmdline
	}
	words := "ip=dhcp"
	if s.Static {
		words = "ip={client}:{server}:{gateway}:{mask}:{name}::none"
	}
	return strings.TrimSpace(s.RootWords(words) + s.ownWords())
}

// RootOption returns DHCP option 17 with placeholders.
func (s BootSpec) RootOption() string {
	switch {
	case s.RootPath == "-":
		return ""
	case s.RootPath != "":
		return s.RootPath
	case s.Root == RootISCSI:
		return "iscsi:{server}::3260:1:{target}" // RFC 4173 section 5
	case s.Root == RootNFS3, s.Root == RootNFS4:
		return "{server}:{export}" // RFC 2132 section 3.19
	default:
		return ""
	}
}

// Fill puts the lab's values in the places of their names.
func Fill(s string, values map[string]string) string {
	pairs := make([]string, 0, 2*len(values))
	for k, v := range values {
		pairs = append(pairs, "{"+k+"}", v)
	}
	return strings.NewReplacer(pairs...).Replace(s)
}
