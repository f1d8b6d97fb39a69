package netsetup

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A Child is the interface of a second partition on an InfiniBand port:
// ib.pkey=parent.pkey. Its name is the word itself.
type Child struct {
	Name, Parent string
	// PKey is the partition with the membership bit 0x8000 set, as IPoIB
	// always has it.
	PKey uint16
}

// A PortSelector is nodisk.ib.port=: which InfiniBand ports are candidates.
// The zero value takes all.
type PortSelector struct {
	HCA    string       // mlx4_0, empty for any
	Number int          // from 1, 0 for any
	GUID   HardwareAddr // of the port, empty for any
}

// String writes the selector as on the command line.
func (s PortSelector) String() string {
	switch {
	case s.GUID != "":
		return dashed(s.GUID)
	case s.Number == 0:
		return s.HCA
	case s.HCA == "":
		return strconv.Itoa(s.Number)
	default:
		return s.HCA + ":" + strconv.Itoa(s.Number)
	}
}

func (s PortSelector) selects(d Device) bool {
	return (s.HCA == "" || s.HCA == d.HCA) && (s.Number == 0 || s.Number == d.Port) && (s.GUID == "" || s.GUID.identifies(d))
}

// below are the steps on a device that others are made of: the port of a bond or
// bridge, the parent of a VLAN or P_Key child. What is made announces itself, and
// has steps of its own. All of them may be done again. What needs no device is
// done with lo, which every kernel has.
func (c Config) below(d Device) []Step { return c.belowWith(d, nil) }

// belowWith does so where servers have given MTUs, by the names of the devices
// that they are for.
func (c Config) belowWith(d Device, leased map[string]int) []Step {
	var steps []Step
	if d.Type == hwLoopback {
		for _, b := range c.Bonds {
			steps = append(steps, BondAdd(b))
			if b.MTU != 0 {
				steps = append(steps, LinkMTU{Dev: b.Name, MTU: b.MTU})
			}
		}
		return steps
	}
	bond, bridge := c.master(d)
	if bond != nil {
		steps = c.join(*bond, d, leased[bond.Name])
	}
	if d.Master != 0 {
		bridge = nil // it is a port already
	}
	made := c.made(d.Name) && !d.Up && !c.claimed(d) && !c.clashes(d)
	if len(steps) == 0 && (made || bridge != nil || c.parent(d)) {
		steps = c.modeSteps(d)
		if mtu := c.mtuAbove(d, leased); mtu > d.MTU {
			// A VLAN cannot have more than what it is on, and a bridge drops
			// what is too long for a port. What is known of it may be older than
			// the MTU that the command line gives.
			steps = append(steps, LinkMTU{Dev: d.Name, MTU: max(mtu, c.mtuWritten(d))})
		}
		steps = append(steps, LinkUp{Dev: d.Name})
	}
	for _, child := range c.Children {
		switch {
		case child.Parent != d.Name:
		case d.Type != hwInfiniBand: // a bond of them has none either
			steps = append(steps, Contradiction{What: "ib.pkey=" + child.Name + ": " + d.Name + " is no port of InfiniBand, and has no partitions"})
		default:
			steps = append(steps, ChildAdd(child))
		}
	}
	for _, v := range c.VLANs {
		if v.Parent.selects(d) {
			steps = append(steps, VLANAdd{Name: v.Name, Link: d.Name, ID: v.ID})
		}
	}
	// A bond has the address of a port only when there is one.
	if bridge != nil && (d.Carrier || d.hardware()) {
		steps = append(steps, BridgeAdd{Name: bridge.Name, Addr: d.Addr}, LinkMaster{Dev: d.Name, Master: bridge.Name})
	}
	return steps
}

// join makes the device a port of the bond, which may be up and in use, and have an
// MTU from a server.
func (c Config) join(b Bond, d Device, leased int) []Step {
	var steps []Step
	if d.Master == 0 {
		steps = c.modeSteps(d)
		if d.Up { // bond_enslave refuses it
			steps = append(steps, LinkDown{Dev: d.Name})
		}
		if mtu := cmp.Or(c.mtuWritten(Device{Name: b.Name}), leased); mtu != 0 || d.Type == hwInfiniBand {
			steps = append(steps, BondFit{Bond: b.Name, Port: d.Name, MTU: mtu})
		}
		steps = append(steps, LinkMaster{Dev: d.Name, Master: b.Name})
	}
	for _, o := range b.Options {
		m, _ := parsePortMatch(o.Value)
		switch {
		case o.Name != "primary" && o.Name != "active_slave" || !m.selects(d):
		case o.Name == "active_slave" && !d.Carrier:
			// EINVAL until it has a signal; then this comes again.
		default:
			steps = append(steps, BondSet{Bond: b.Name, Option: o.Name, Port: d.Name})
		}
	}
	return steps
}

// again tells whether a device that was set up has more steps when it gets a
// signal.
func (c Config) again(d Device) bool {
	bond, bridge := c.master(d)
	if d.Master == 0 {
		return bridge != nil
	}
	return bond != nil && bond.option("active_slave") != ""
}

// modeSteps sets the transport of an IPoIB interface.
func (c Config) modeSteps(d Device) []Step {
	if c.IBMode == "" || d.Type != hwInfiniBand || c.bond(d.Name) {
		return nil
	}
	return []Step{LinkMode{Dev: d.Name, Mode: c.IBMode}}
}

// master returns the bond or bridge that the device is a port of. What names
// the device goes before what describes it. A description never takes what a
// word names, nor what another link is made of.
func (c Config) master(d Device) (*Bond, *Bridge) {
	if d.Type == hwLoopback {
		return nil, nil
	}
	for _, described := range []bool{false, true} {
		takes := func(m PortMatch) bool { return m.glob() == described && m.selects(d) }
		if described && (c.named(d) || c.parent(d) || c.made(d.Name)) {
			break
		}
		for i, b := range c.Bonds {
			if b.Name != d.Name && slices.ContainsFunc(b.Ports, takes) {
				return &c.Bonds[i], nil
			}
		}
		for i, b := range c.Bridges {
			if b.Name != d.Name && d.Type != hwInfiniBand && slices.ContainsFunc(b.Ports, takes) {
				return nil, &c.Bridges[i]
			}
		}
	}
	return nil, nil
}

// named tells whether ip=, bootdev= or nodisk.ib.port= say what the device is
// for.
func (c Config) named(d Device) bool {
	names := func(m PortMatch) bool { return m.one() && m.selects(d) }
	return names(c.BootDevice()) || d.Type == hwInfiniBand && !c.IBPort.selects(d) ||
		slices.ContainsFunc(c.interfaces(), func(n Interface) bool { return names(n.match()) })
}

// masterName is its name, empty for none.
func (c Config) masterName(d Device) string {
	switch bond, bridge := c.master(d); {
	case bond != nil:
		return bond.Name
	case bridge != nil:
		return bridge.Name
	default:
		return ""
	}
}

// port tells whether the device is the port of a bond or bridge, which takes no
// address.
func (c Config) port(d Device) bool {
	return c.masterName(d) != ""
}

// parent tells whether VLANs or P_Key children are made of the device.
func (c Config) parent(d Device) bool {
	return slices.ContainsFunc(c.Children, func(p Child) bool { return p.Parent == d.Name }) ||
		slices.ContainsFunc(c.VLANs, func(v VLAN) bool { return v.Parent.selects(d) })
}

func (c Config) bond(name string) bool {
	return slices.ContainsFunc(c.Bonds, func(b Bond) bool { return b.Name == name })
}

// minLinks is how many ports with carrier a bond needs to have it, too; 0 if the
// name is that of no bond, or one port is enough.
func (c Config) minLinks(name string) int {
	for _, b := range c.Bonds {
		if n, err := strconv.Atoi(b.option("min_links")); b.Name == name && err == nil {
			return n
		}
	}
	return 0
}

// made tells whether the name is that of a link the config makes.
func (c Config) made(name string) bool {
	return c.lowers(name) != nil
}

// makes reports whether the config makes any link.
func (c Config) makes() bool {
	return len(c.Bonds)+len(c.Bridges)+len(c.VLANs)+len(c.Children) > 0
}

// clashes tells whether an adapter has the name of a link that the config makes:
// a word with that name is about the link.
func (c Config) clashes(d Device) bool {
	return d.hardware() && c.made(d.Name)
}

// lowers are what the link of that name is made of, nil if the config makes no
// such link.
func (c Config) lowers(name string) []PortMatch {
	for _, b := range c.Bonds {
		if b.Name == name {
			return b.Ports
		}
	}
	for _, b := range c.Bridges {
		if b.Name == name {
			return b.Ports
		}
	}
	for _, v := range c.VLANs {
		if v.Name == name {
			return []PortMatch{v.Parent}
		}
	}
	for _, p := range c.Children {
		if p.Name == name {
			return []PortMatch{{Name: p.Parent}}
		}
	}
	return nil
}

func (c Config) claimed(d Device) bool {
	_, v4 := c.claim(d, false)
	_, v6 := c.claim(d, true)
	return v4 || v6
}

// parseChild reads ib.pkey=parent.pkey.
func (c *Config) parseChild(a cmdline.Arg, p *problems) {
	const fix = "write the parent, a dot and the P_Key in hexadecimal: ib.pkey=ib0.8001"
	dot := strings.LastIndexByte(a.Value, '.')
	parent, digits := a.Value[:max(dot, 0)], strings.TrimPrefix(a.Value[dot+1:], "0x")
	key, err := strconv.ParseUint(digits, 16, 16)
	switch {
	case dot < 0 || err != nil:
		p.bad(a, "is not parent.pkey", fix)
	case strings.ContainsRune(a.Value, ','):
		p.bad(a, "is more than one partition", "write one ib.pkey= for each: ib.pkey="+strings.ReplaceAll(a.Value, ",", " ib.pkey="))
	case parent != "" && errNewName(parent) != nil && !errors.Is(errNewName(parent), errNoName):
		p.bad(a, "names its parent by an address", fix)
	case len(a.Value) > longestName && validDeviceName(parent):
		p.bad(a, "is a name of "+strconv.Itoa(len(a.Value))+" characters, and that of an interface has at most "+strconv.Itoa(longestName),
			"write the kernel's name of "+parent+" (ib.pkey=ib0."+digits+"), or give it a shorter one: "+renamed("GUID", digits))
	case !validDeviceName(parent) || !validDeviceName(a.Value):
		p.bad(a, "gives no interface name", fix)
	case key&0x7fff == 0:
		p.bad(a, "P_Key "+digits+" is not valid: partition 0", fix)
	default:
		c.Children = append(c.Children, Child{Name: a.Value, Parent: parent, PKey: uint16(key) | fullMember})
	}
}

// renamed is what to write for the partition of a port that is given a name of its own, by its address.
func renamed(addr, pkey string) string {
	return "ifname=fabric:" + addr + " ib.pkey=fabric." + pkey
}

// partitionOn is what to write for a partition on a port. Which of the kernel's names is that of a port
// that is known by its address, the words do not tell.
func (c *Config) partitionOn(port PortMatch) string {
	fix := "write ib.pkey=" + c.partition(port, fullMember|1) + " for a partition"
	if port.Addr != "" {
		fix += ", or for one of this port " + renamed(port.Addr.String(), "8001")
	}
	return fix
}

// portSelector reads nodisk.ib.port=: a number, HCA, HCA:number, or a GUID in
// any spelling.
func (p *problems) portSelector(a cmdline.Arg) PortSelector {
	const fix = "write a port number, mlx4_0, mlx4_0:1 or the port GUID"
	guid, err := parseAddress(a.Value)
	switch {
	case err == nil:
		return PortSelector{GUID: guid}
	case isDigits(a.Value) && len(a.Value) < len("525400123456"):
		return PortSelector{Number: p.number(a, a.Value, 1, 254)}
	case resemblesAddress(a.Value):
		p.bad(a, errName(a.Value).Error(), fix)
		return PortSelector{}
	}
	hca, number, hasNumber := strings.Cut(a.Value, ":")
	// udev can give an adapter the name of an interface (ibp65s0; rdma_rename of
	// rdma-core), but not in /init, where it has the driver's: mlx5_0, hfi1_0.
	switch name := (PortMatch{Name: hca}); {
	case strings.Contains(a.Value, ","):
		p.bad(a, "is more than one port", "write one of them, or only the adapter for all of its ports (mlx4_0)")
		return PortSelector{}
	case name.infiniBand() || name.ethernet():
		p.bad(a, hca+" is an interface", "write ip="+hca+":dhcp, or the adapter: mlx4_0, mlx4_0:1")
		return PortSelector{}
	}
	s := PortSelector{HCA: hca}
	if hasNumber {
		s.Number = p.number(a, number, 1, 254)
	}
	if hca == "" || isDigits(hca) || strings.ContainsAny(hca, "/ ") || !printable(hca) {
		p.bad(a, "is not a port", fix)
	}
	return s
}

// fullMember is the membership bit of a P_Key.
const fullMember = 0x8000

// PKey returns the partition of an IPoIB interface, which its broadcast address
// holds (RFC 4391 section 4: 00:ff:ff:ff:ff:12:40:1b and then the P_Key), 0 if it is none.
func (d Device) PKey() uint16 {
	if d.Type != hwInfiniBand || len(d.Broadcast) != 20 {
		return 0
	}
	return binary.BigEndian.Uint16([]byte(d.Broadcast[8:10]))
}
