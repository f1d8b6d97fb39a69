package pxe

import (
	"net/netip"
	"strings"
	"time"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Nodes is a description of nodes, checked.
type Nodes struct {
	File      string // what messages call the description
	Defaults  Settings
	Server    netip.Addr // TFTP server, the zero value where it is the DHCP server
	HTTP      string     // URL of the TFTP directory over HTTP, with a slash at its end; empty for none
	Folder    string     // the TFTP directory on the server; empty: where the files are written
	Interface string     // where the DHCP server listens; empty for all
	Lease     time.Duration
	Loader    Loader
	Subnets   []Subnet
	Groups    []Group
	Nodes     []Node
	// Warnings are for the administrator; they hinder nothing.
	Warnings []string
}

// Loader are the files that the DHCP server names to the firmware, as paths
// below the TFTP directory; empty ones are not named.
type Loader struct {
	BIOS string
	UEFI string // x86-64
	ARM  string // UEFI of arm64
	IPXE string // for clients that are iPXE already
	GRUB string // the directory where GRUB looks for grub.cfg
}

// Settings are what defaults, subnets, groups and nodes have in common. The
// nearest one that is set holds, but for Append, which adds up.
type Settings struct {
	Kernel   string
	Images   []string // in the order in which the kernel unpacks them
	Cmdline  string
	Append   []string
	Profiles []string
	Consoles []string // as in console=
	IPAppend int      // as in pxelinux, IPAppendUnset when nothing is said
	LinuxEFI bool     // GRUB: the commands linuxefi and initrdefi
	efiSet   bool
}

// IPAppendUnset leaves it to Render: 2 unless the command line names an
// interface itself.
const IPAppendUnset = -1

// under returns the settings with what they leave open taken from those above.
func (s Settings) under(above Settings) Settings {
	if s.Kernel == "" {
		s.Kernel = above.Kernel
	}
	if len(s.Images) == 0 {
		s.Images = above.Images
	}
	if s.Cmdline == "" {
		s.Cmdline = above.Cmdline
	}
	if len(s.Profiles) == 0 {
		s.Profiles = above.Profiles
	}
	if len(s.Consoles) == 0 {
		s.Consoles = above.Consoles
	}
	if s.IPAppend == IPAppendUnset {
		s.IPAppend = above.IPAppend
	}
	if !s.efiSet {
		s.LinuxEFI, s.efiSet = above.LinuxEFI, above.efiSet
	}
	s.Append = append(append([]string(nil), above.Append...), s.Append...)
	return s
}

// A Subnet is an IPv4 network of nodes. Its settings hold for its nodes, and
// for all other machines in it unless a group has the same prefix.
type Subnet struct {
	Settings
	At      Position
	Prefix  netip.Prefix
	Gateway netip.Addr
	DNS     []netip.Addr
	Domain  string
	// First and Last bound the pool for machines without a reservation. The
	// zero values: there is none.
	First, Last netip.Addr
}

// A Group has settings for the nodes that name it, and for all machines with
// addresses in its prefixes.
type Group struct {
	Settings
	At       Position
	Name     string
	Prefixes []netip.Prefix
	Wake     Wake
}

// A Node is a machine, known by the port that it boots from.
type Node struct {
	Settings
	At    Position
	Name  string // a host name without domain, in lower case
	Group string
	IP    netip.Addr // the zero value: from the pool
	// MAC is that of an Ethernet port, GUID that of an InfiniBand port, and
	// Port its 20 bytes where they were given; one of the first two is set.
	MAC    link.HardwareAddr
	GUID   link.GUID
	Port   link.HardwareAddr
	Secret string // a further image, of this node alone

	ClientID string // a form of docs/infiniband.md; empty is auto
	Wake     Wake
}

// infiniBand reports whether the port is one.
func (n Node) infiniBand() bool { return n.MAC == "" }

// mac is the address of six bytes: on InfiniBand the one that firmware makes of
// the GUID.
func (n Node) mac() link.HardwareAddr {
	if n.infiniBand() {
		return n.GUID.MAC()
	}
	return n.MAC
}

// dashes writes aa-bb-cc, as loaders name their files.
func dashes(address string) string { return strings.ReplaceAll(address, ":", "-") }
