package netsetup

import (
	"cmp"
	"errors"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Below are the steps on a device that others are made of: the port of a bond or bridge, the
// parent of a VLAN or P_Key child. The kernel announces what is made, and that has steps of its
// own. All of them may be repeated. What needs no device is done with lo, which every kernel has.
func (c Config) Below(d link.Device) []link.Step { return c.BelowWith(d, nil) }

// BelowWith is Below where servers have given MTUs, by the names of the devices that they are
// for.
func (c Config) BelowWith(d link.Device, leased map[string]int) []link.Step {
	var steps []link.Step
	if d.Type == link.HwLoopback {
		for _, b := range c.Bonds {
			steps = append(steps, link.BondAdd(b))
			if b.MTU != 0 {
				steps = append(steps, link.SetMTU{Dev: b.Name, MTU: b.MTU})
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
	made := c.Made(d.Name) && !d.Up && !c.claimed(d) && !c.clashes(d)
	if len(steps) == 0 && (made || bridge != nil || c.parent(d)) {
		steps = c.modeSteps(d)
		if mtu := c.mtuAbove(d, leased); mtu > d.MTU {
			// A VLAN cannot have a larger MTU than what it is on, and a bridge drops what is too
			// long for a port. What is known about it may be older than the MTU that the command
			// line gives.
			steps = append(steps, link.SetMTU{Dev: d.Name, MTU: max(mtu, c.MTUWritten(d))})
		}
		steps = append(steps, link.Up{Dev: d.Name})
	}
	for _, child := range c.Children {
		switch {
		case child.Parent != d.Name:
		case d.Type != link.HwInfiniBand: // nor has a bond of them
			steps = append(
				steps,
				link.Contradiction{
					What: "ib.pkey=" + child.Name + ": " + d.Name + " is no port of InfiniBand, and has no partitions",
				},
			)
		default:
			steps = append(steps, link.ChildAdd(child))
		}
	}
	for _, v := range c.VLANs {
		if v.Parent.Selects(d) {
			steps = append(steps, link.VLANAdd{Name: v.Name, Link: d.Name, ID: v.ID})
		}
	}
	// A bond has the address of a port only when there is one.
	if bridge != nil && (d.Carrier || d.Hardware()) {
		steps = append(
			steps,
			link.BridgeAdd{Name: bridge.Name, Addr: d.Addr},
			link.SetMaster{Dev: d.Name, Master: bridge.Name},
		)
	}
	return steps
}

// join makes the device a port of the bond, which may be up and in use, and have an
// MTU from a server.
func (c Config) join(b link.Bond, d link.Device, leased int) []link.Step {
	var steps []link.Step
	if d.Master == 0 {
		steps = c.modeSteps(d)
		if d.Up { // bond_enslave refuses it
			steps = append(steps, link.Down{Dev: d.Name})
		}
		if mtu := cmp.Or(c.MTUWritten(link.Device{Name: b.Name}), leased); mtu != 0 || d.Type == link.HwInfiniBand {
			steps = append(steps, link.BondFit{Bond: b.Name, Port: d.Name, MTU: mtu})
		}
		steps = append(steps, link.SetMaster{Dev: d.Name, Master: b.Name})
	}
	for _, o := range b.Options {
		m, _ := link.ParsePortMatch(o.Value)
		switch {
		case o.Name != "primary" && o.Name != "active_slave" || !m.Selects(d):
		case o.Name == "active_slave" && !d.Carrier:
			// EINVAL until it has a signal; then this comes again.
		default:
			steps = append(steps, link.BondSet{Bond: b.Name, Option: o.Name, Port: d.Name})
		}
	}
	return steps
}

// Again reports whether a device that was set up has more steps when it gets a
// signal.
func (c Config) Again(d link.Device) bool {
	bond, bridge := c.master(d)
	if d.Master == 0 {
		return bridge != nil
	}
	return bond != nil && bond.Option("active_slave") != ""
}

// modeSteps sets the transport of an IPoIB interface.
func (c Config) modeSteps(d link.Device) []link.Step {
	if c.IBMode == "" || d.Type != link.HwInfiniBand || c.Bond(d.Name) {
		return nil
	}
	return []link.Step{link.SetMode{Dev: d.Name, Mode: c.IBMode}}
}

// master returns the bond or bridge that the device is a port of. A name takes precedence over a
// description. A description never takes what a argument names, nor what another link is made of.
func (c Config) master(d link.Device) (*link.Bond, *link.Bridge) {
	if d.Type == link.HwLoopback {
		return nil, nil
	}
	for _, described := range []bool{false, true} {
		takes := func(m link.PortMatch) bool { return m.Glob() == described && m.Selects(d) }
		if described && (c.named(d) || c.parent(d) || c.Made(d.Name)) {
			break
		}
		for i, b := range c.Bonds {
			if b.Name != d.Name && slices.ContainsFunc(b.Ports, takes) {
				return &c.Bonds[i], nil
			}
		}
		for i, b := range c.Bridges {
			if b.Name != d.Name && d.Type != link.HwInfiniBand && slices.ContainsFunc(b.Ports, takes) {
				return nil, &c.Bridges[i]
			}
		}
	}
	return nil, nil
}

// named reports whether ip=, bootdev= or nodisk.ib.port= say what the device is
// for.
func (c Config) named(d link.Device) bool {
	names := func(m link.PortMatch) bool { return m.One() && m.Selects(d) }
	return names(c.BootDevice()) || d.Type == link.HwInfiniBand && !c.IBPort.Selects(d) ||
		slices.ContainsFunc(c.AddressingsOrDefault(), func(n Addressing) bool { return names(n.PortMatch()) })
}

// MasterName is its name, empty for none.
func (c Config) MasterName(d link.Device) string {
	switch bond, bridge := c.master(d); {
	case bond != nil:
		return bond.Name
	case bridge != nil:
		return bridge.Name
	default:
		return ""
	}
}

// port reports whether the device is the port of a bond or bridge, which takes no
// address.
func (c Config) port(d link.Device) bool {
	return c.MasterName(d) != ""
}

// parent reports whether VLANs or P_Key children are made of the device.
func (c Config) parent(d link.Device) bool {
	return slices.ContainsFunc(c.Children, func(p link.Child) bool { return p.Parent == d.Name }) ||
		slices.ContainsFunc(c.VLANs, func(v link.VLAN) bool { return v.Parent.Selects(d) })
}

// Bond is the bond of that name, nil for none.
func (c Config) Bond(name string) bool {
	return slices.ContainsFunc(c.Bonds, func(b link.Bond) bool { return b.Name == name })
}

// MinLinks is how many ports with carrier a bond needs to have carrier itself; 0 if the name is
// not that of a bond, or one port is enough.
func (c Config) MinLinks(name string) int {
	for _, b := range c.Bonds {
		if n, err := strconv.Atoi(b.Option("min_links")); b.Name == name && err == nil {
			return n
		}
	}
	return 0
}

// Made reports whether the name is that of a link the config makes.
func (c Config) Made(name string) bool {
	return c.Lowers(name) != nil
}

// MakesLinks reports whether the config makes any link.
func (c Config) MakesLinks() bool {
	return len(c.Bonds)+len(c.Bridges)+len(c.VLANs)+len(c.Children) > 0
}

// clashes reports whether an adapter has the name of a link that the config makes:
// an argument with that name is about the link.
func (c Config) clashes(d link.Device) bool {
	return d.Hardware() && c.Made(d.Name)
}

// Lowers are what the link of that name is made of, nil if the config makes no
// such link.
func (c Config) Lowers(name string) []link.PortMatch {
	for _, l := range c.Links() {
		if l.Name == name {
			return l.Lowers
		}
	}
	return nil
}

// A Link is one that the command line makes, of others below it.
type Link struct {
	Key    string // of the argument that makes it: bond, bridge, vlan or ib.pkey
	Name   string
	Lowers []link.PortMatch
}

// Links are all that the command line makes: bonds, bridges, VLANs, P_Key children.
func (c Config) Links() []Link {
	var links []Link
	for _, b := range c.Bonds {
		links = append(links, Link{"bond", b.Name, b.Ports})
	}
	for _, b := range c.Bridges {
		links = append(links, Link{"bridge", b.Name, b.Ports})
	}
	for _, v := range c.VLANs {
		links = append(links, Link{"vlan", v.Name, []link.PortMatch{v.Parent}})
	}
	for _, p := range c.Children {
		links = append(links, Link{"ib.pkey", p.Name, []link.PortMatch{{Name: p.Parent}}})
	}
	return links
}

func (c Config) claimed(d link.Device) bool {
	_, v4 := c.Claim(d, false)
	_, v6 := c.Claim(d, true)
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
		p.bad(
			a,
			"is more than one partition",
			"write one ib.pkey= for each: ib.pkey="+strings.ReplaceAll(a.Value, ",", " ib.pkey="),
		)
	case parent != "" && link.ErrNewName(parent) != nil && !errors.Is(link.ErrNewName(parent), link.ErrNoName):
		p.bad(a, "names its parent by an address", fix)
	case len(a.Value) > link.LongestName && link.ValidDeviceName(parent):
		p.bad(
			a,
			"is a name of "+strconv.Itoa(
				len(a.Value),
			)+" characters, and that of an interface has at most "+strconv.Itoa(
				link.LongestName,
			),
			"write the kernel's name of "+parent+" (ib.pkey=ib0."+digits+"), or give it a shorter one: "+renamed(
				"GUID",
				digits,
			),
		)
	case !link.ValidDeviceName(parent) || !link.ValidDeviceName(a.Value):
		p.bad(a, "gives no interface name", fix)
	case key&0x7fff == 0:
		p.bad(a, "P_Key "+digits+" is not valid: partition 0", fix)
	default:
		c.Children = append(c.Children, link.Child{Name: a.Value, Parent: parent, PKey: uint16(key) | link.FullMember})
	}
}

// renamed is what to write for the partition of a port that is named by its address and given a
// name of its own.
func renamed(addr, pkey string) string {
	return "ifname=fabric:" + addr + " ib.pkey=fabric." + pkey
}

// partitionOn is what to write for a partition on a port. If a port is known by its address, the
// arguments do not say which of the kernel's names it has.
func (c *Config) partitionOn(port link.PortMatch) string {
	fix := "write ib.pkey=" + c.partition(port, link.FullMember|1) + " for a partition"
	if port.Addr != "" {
		fix += ", or for one of this port " + renamed(port.Addr.String(), "8001")
	}
	return fix
}

// portSelector reads nodisk.ib.port=: a number, HCA, HCA:number, or a GUID in
// any spelling.
func (p *problems) portSelector(a cmdline.Arg) link.PortSelector {
	const fix = "write a port number, mlx4_0, mlx4_0:1 or the port GUID"
	guid, err := link.ParseAddress(a.Value)
	switch {
	case err == nil:
		return link.PortSelector{GUID: guid}
	case link.IsDigits(a.Value) && len(a.Value) < len("525400123456"):
		return link.PortSelector{Number: p.number(a, a.Value, 1, 254)}
	case link.ResemblesAddress(a.Value):
		p.bad(a, link.ErrName(a.Value).Error(), fix)
		return link.PortSelector{}
	}
	hca, number, hasNumber := strings.Cut(a.Value, ":")
	// udev can give an adapter the name of an interface (ibp65s0; rdma_rename of
	// rdma-core), but not in /init, where it has the driver's: mlx5_0, hfi1_0.
	switch name := (link.PortMatch{Name: hca}); {
	case strings.Contains(a.Value, ","):
		p.bad(a, "is more than one port", "write one of them, or only the adapter for all of its ports (mlx4_0)")
		return link.PortSelector{}
	case name.InfiniBand() || name.Ethernet():
		p.bad(a, hca+" is an interface", "write ip="+hca+":dhcp, or the adapter: mlx4_0, mlx4_0:1")
		return link.PortSelector{}
	}
	s := link.PortSelector{HCA: hca}
	if hasNumber {
		s.Number = p.number(a, number, 1, 254)
	}
	if hca == "" || link.IsDigits(hca) || strings.ContainsAny(hca, "/ ") || !phrase.Printable(hca) {
		p.bad(a, "is not a port", fix)
	}
	return s
}
