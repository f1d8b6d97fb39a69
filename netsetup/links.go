package netsetup

import (
	"encoding/binary"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

// A Child is the interface of a second partition on an InfiniBand port:
// ib.pkey=parent.pkey. Its name is the word itself.
type Child struct {
	Name, Parent string
	// PKey is the partition with the membership bit 0x8000 set, as IPoIB
	// always has it.
	PKey uint16
}

// A Bond is one of bond=name[:ports[:options[:mtu]]], of mode active-backup.
type Bond struct {
	Name  string
	Ports []string
	// MIIMon is how often the carrier of the ports is looked at, UpDelay and
	// DownDelay how long a change must last; milliseconds
	// (Documentation/networking/bonding.rst).
	MIIMon, UpDelay, DownDelay int
	MTU                        int // bytes, 0 for the kernel's
}

// A PortSelector is nodisk.ib.port=: which InfiniBand ports are candidates.
// The zero value takes all.
type PortSelector struct {
	HCA    string       // mlx4_0, empty for any
	Number int          // from 1, 0 for any
	GUID   HardwareAddr // of the port, empty for any
}

func (s PortSelector) selects(d Device) bool {
	return (s.HCA == "" || s.HCA == d.HCA) && (s.Number == 0 || s.Number == d.Port) && (s.GUID == "" || s.GUID.identifies(d))
}

// below are the steps on a device that others are made of: the parent of a
// P_Key child, the port of a bond. What needs no device is done with lo, which
// every kernel has.
func (c Config) below(d Device) []Step {
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
	for _, b := range c.Bonds {
		if d.Master != 0 || !slices.Contains(b.Ports, d.Name) {
			continue
		}
		steps = append(steps, c.modeSteps(d)...)
		if d.Up { // bond_enslave refuses it
			steps = append(steps, LinkDown{Dev: d.Name})
		}
		if b.MTU == 0 && d.Type == hwInfiniBand {
			// The kernel would set the port to the bond's 1500.
			steps = append(steps, LinkMTU{Dev: b.Name, MTU: d.MTU})
		}
		steps = append(steps, LinkMaster{Dev: d.Name, Master: b.Name})
	}
	for _, child := range c.Children {
		if child.Parent != d.Name {
			continue
		}
		if len(steps) == 0 {
			steps = append(c.modeSteps(d), LinkUp{Dev: d.Name})
		}
		steps = append(steps, ChildAdd(child))
	}
	return steps
}

// modeSteps sets the transport of an IPoIB interface.
func (c Config) modeSteps(d Device) []Step {
	if c.IBMode == "" || d.Type != hwInfiniBand || c.bond(d.Name) {
		return nil
	}
	return []Step{LinkMode{Dev: d.Name, Mode: c.IBMode}}
}

// port tells whether the name is that of a bond's port, which takes no address.
func (c Config) port(name string) bool {
	return slices.ContainsFunc(c.Bonds, func(b Bond) bool { return slices.Contains(b.Ports, name) })
}

func (c Config) parent(name string) bool {
	return slices.ContainsFunc(c.Children, func(p Child) bool { return p.Parent == name })
}

func (c Config) bond(name string) bool {
	return slices.ContainsFunc(c.Bonds, func(b Bond) bool { return b.Name == name })
}

// made tells whether the name is that of a link the config makes.
func (c Config) made(name string) bool {
	return slices.ContainsFunc(c.Children, func(p Child) bool { return p.Name == name }) || c.bond(name)
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
	case !validDeviceName(parent) || !validDeviceName(a.Value):
		p.bad(a, "gives no interface name", fix)
	case key&0x7fff == 0:
		p.bad(a, "P_Key "+digits+" is not valid: partition 0", fix)
	default:
		c.Children = append(c.Children, Child{Name: a.Value, Parent: parent, PKey: uint16(key) | fullMember})
	}
}

// parseBond reads bond=name[:ports[:options[:mtu]]]. miimon is 100 unless
// something else is said: without it a bond never notices a dead port.
func (c *Config) parseBond(a cmdline.Arg, p *problems) {
	const fix = "write bond=bond0:ib0,ib1:mode=active-backup"
	f := strings.Split(a.Value, ":")
	if len(f) < 2 || len(f) > 4 || !validDeviceName(f[0]) {
		p.bad(a, "is not name:ports:options[:mtu]", fix)
		return
	}
	b := Bond{Name: f[0], MIIMon: 100}
	for name := range strings.SplitSeq(f[1], ",") {
		b.Ports = append(b.Ports, p.deviceName(a, name))
	}
	mode := "balance-rr" // the kernel's and dracut's
	if len(f) > 2 {
		for option := range strings.FieldsFuncSeq(f[2], func(r rune) bool { return r == ',' || r == ';' }) {
			name, value, _ := strings.Cut(option, "=")
			switch name {
			case "mode":
				mode = value
			case "miimon":
				b.MIIMon = p.number(a, value, 1, 60000)
			case "updelay":
				b.UpDelay = p.number(a, value, 0, 600000)
			case "downdelay":
				b.DownDelay = p.number(a, value, 0, 600000)
			case "fail_over_mac":
				// The kernel knows what InfiniBand needs.
				if value != "active" && value != "1" {
					p.bad(a, option+" is not built yet", "leave it out")
				}
			default:
				p.bad(a, "option "+strconv.Quote(option)+" is not built yet", "leave it out; mode, miimon, updelay and downdelay are known")
			}
		}
	}
	if mode != "active-backup" && mode != "1" {
		p.bad(a, "mode "+mode+" is not built yet, and impossible on InfiniBand", "write mode=active-backup")
	}
	if len(f) == 4 {
		b.MTU = p.number(a, f[3], minMTU, 65535)
	}
	c.Bonds = append(c.Bonds, b)
}

// portSelector reads nodisk.ib.port=: a number, HCA, HCA:number, or a GUID in
// any spelling.
func (p *problems) portSelector(a cmdline.Arg) PortSelector {
	const fix = "write a port number, mlx4_0, mlx4_0:1 or the port GUID"
	if isDigits(a.Value) && len(a.Value) < 4 {
		return PortSelector{Number: p.number(a, a.Value, 1, 254)}
	}
	if guid, err := parseAddress(a.Value); err == nil {
		return PortSelector{GUID: guid}
	}
	hca, number, hasNumber := strings.Cut(a.Value, ":")
	s := PortSelector{HCA: hca}
	if hasNumber {
		s.Number = p.number(a, number, 1, 254)
	}
	if hca == "" || strings.ContainsAny(hca, "/ ") || !printable(hca) {
		p.bad(a, "is not a port", fix)
	}
	return s
}

// checkLinks looks for links made twice, or of nothing.
func (c *Config) checkLinks(p *problems) {
	owner := map[string]string{}
	made := func(key, name string) {
		if owner[name] != "" {
			p.add(key, name, "is made a second time", "write it once")
		}
		owner[name] = key
	}
	for _, child := range c.Children {
		made("ib.pkey", child.Name)
	}
	ports := map[string]string{}
	for _, b := range c.Bonds {
		made("bond", b.Name)
		for _, port := range b.Ports {
			if other := ports[port]; other != "" || port == b.Name {
				p.add("bond", b.Name, port+" cannot be a port of it: it is one of "+other+b.Name, "write each port once")
			}
			ports[port] = b.Name + " and "
		}
	}
	for _, n := range c.Interfaces {
		if c.port(n.Device) {
			p.add("ip", n.String(), n.Device+" is a port of a bond and takes no address", "name the bond")
		}
	}
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
