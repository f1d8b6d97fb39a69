package pxe

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/netsetup"
)

// Nodes is a description of nodes, checked.
type Nodes struct {
	Defaults  Settings
	Server    netip.Addr // TFTP server, the zero value where it is the DHCP server
	HTTP      string     // URL of the TFTP folder over HTTP, with a slash at its end; empty for none
	Folder    string     // the TFTP folder on the server; empty: where the files are written
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
// below the TFTP folder; empty ones are not named.
type Loader struct {
	BIOS string
	UEFI string
	IPXE string // for clients that are iPXE already
	GRUB string // the folder where GRUB looks for grub.cfg
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
	Line    int // in the file
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
	Line     int
	Name     string
	Prefixes []netip.Prefix
}

// A Node is a machine, known by the port that it boots from.
type Node struct {
	Settings
	Line  int
	Name  string // a host name without domain, in lower case
	Group string
	IP    netip.Addr // the zero value: from the pool
	// MAC is that of an Ethernet port, GUID that of an InfiniBand port, and
	// Port its 20 bytes where they were given; one of the first two is set.
	MAC    netsetup.HardwareAddr
	GUID   netsetup.GUID
	Port   netsetup.HardwareAddr
	Secret string // a further image, of this node alone

	ClientID string // a form of docs/infiniband.md; empty is auto
}

// infiniBand tells of which kind the port is.
func (n Node) infiniBand() bool { return n.MAC == "" }

// mac is the address of six bytes: on InfiniBand the one that firmware makes of
// the GUID.
func (n Node) mac() netsetup.HardwareAddr {
	if n.infiniBand() {
		return n.GUID.MAC()
	}
	return n.MAC
}

// subnet returns the one that the address is in, nil for none.
func (n Nodes) subnet(a netip.Addr) *Subnet {
	for i := range n.Subnets {
		if a.IsValid() && n.Subnets[i].Prefix.Contains(a) {
			return &n.Subnets[i]
		}
	}
	return nil
}

// group returns the one of that name, nil for none.
func (n Nodes) group(name string) *Group {
	for i := range n.Groups {
		if n.Groups[i].Name == name {
			return &n.Groups[i]
		}
	}
	return nil
}

// groupAt returns the one that has the prefix, nil for none.
func (n Nodes) groupAt(x netip.Prefix) *Group {
	for i := range n.Groups {
		if slices.Contains(n.Groups[i].Prefixes, x) {
			return &n.Groups[i]
		}
	}
	return nil
}

// settings are those of a node with all that holds for it.
func (n Nodes) settings(node Node) Settings {
	above := n.Defaults
	if s := n.subnet(node.IP); s != nil {
		above = s.under(above)
	}
	if g := n.group(node.Group); g != nil {
		above = g.under(above)
	}
	return node.under(above)
}

// dashes writes aa-bb-cc, as loaders name their files.
func dashes(address string) string { return strings.ReplaceAll(address, ":", "-") }
