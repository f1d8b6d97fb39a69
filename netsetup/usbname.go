package netsetup

import (
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// A USBNaming says how udev of the root names NICs on USB: plain systemd by their place, Debian
// and its derivatives by their address. 0 leaves it to the arguments and to what is known about
// the root.
type USBNaming int

const (
	// USBByPath names them like all others: enp0s20u1.
	USBByPath USBNaming = iota + 1
	// USBByAddress names them by address alone: enx525400123456. One whose address is not its own
	// keeps the kernel's name.
	USBByAddress
)

// String is the argument of nodisk.ifnames=.
func (u USBNaming) String() string {
	switch u {
	case USBByPath:
		return "usb-path"
	case USBByAddress:
		return "usb-mac"
	default:
		return ""
	}
}

// usbLink is the file that makes Debian's udev do so.
const usbLink = "systemd/network/73-usb-net-by-mac.link"

// linkDirs are where udev looks for such files, the first that has it wins
// (systemd.link(5)).
func linkDirs() []string { return []string{"etc", "run", "usr/local/lib", "usr/lib", "lib"} }

// RootUSB is what can be known about the root before it is mounted. root is the initramfs: what
// somebody else's contains, or what was added to ours, is likely to be in the root as well, and
// an empty file cancels the rule there (systemd.link(5)). version is that of the kernel (uname
// -v), which usually comes from the same distribution as the root.
func RootUSB(root fs.FS, version string) USBNaming {
	for _, dir := range linkDirs() {
		text, err := fs.ReadFile(root, dir+"/"+usbLink)
		switch {
		case err != nil: // probably there is none
		case len(text) == 0:
			return USBByPath
		default:
			return USBByAddress
		}
	}
	if strings.Contains(version, "Debian") || strings.Contains(version, "Ubuntu") {
		return USBByAddress
	}
	return USBByPath
}

// USBNaming is what nodisk.ifnames= says; else what an argument shows that calls one by the
// one or the other name; 0 if there is neither.
func (c Config) USBNaming() USBNaming {
	if c.USBNames != 0 {
		return c.USBNames
	}
	cards := c.cards()
	switch {
	case slices.ContainsFunc(cards, func(name string) bool { return strings.HasPrefix(name, "enx") }):
		return USBByAddress
	case slices.ContainsFunc(cards, usbPath):
		return USBByPath
	default:
		return 0
	}
}

// usbPath reports whether a name is one of USB by place: enp0s20u1, enp0s20f0u1u4.
func usbPath(name string) bool {
	if link.NameKind(name) != 'p' && link.NameKind(name) != 's' {
		return false
	}
	_, port, ok := strings.Cut(name[2:], "u")
	return ok && port != "" && link.IsDigits(port[:1])
}
