package netsetup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Commands are the ip(8) commands of Steps for a node that has the interfaces of which the
// command line speaks, each with carrier and of the type that its name or address says. Whatever
// an argument leaves open is an adapter called eth0, or what comes after it. An error is that of
// Steps.
//
// The address of an adapter, where the command line does not name it, is read from sysfs: the
// commands can be given to a shell.
func (c Config) Commands() ([]string, error) {
	have, invented := c.supposed()
	steps, err := c.Steps(have)
	var pairs []string
	for _, d := range invented {
		pairs = append(pairs, " address "+d.Addr.String(), " address $(cat /sys/class/net/"+d.Name+"/address)")
	}
	sysfs := strings.NewReplacer(pairs...)
	commands := make([]string, 0, len(steps))
	up := make(map[string]bool)
	for _, s := range steps {
		text := s.String()
		if _, ok := s.(link.BridgeAdd); ok { // the one step that copies an adapter's address
			text = sysfs.Replace(text)
		}
		if u, ok := s.(link.Up); ok {
			if up[u.Dev] {
				continue // both addresses of an interface ask for it, and a node sets it up once
			}
			up[u.Dev] = true
		} else if words := strings.Fields(text); len(words) > 3 && words[1] == "link" {
			delete(up, words[3]) // it may have gone down
		}
		commands = append(commands, text)
	}
	return commands, err
}

// supposed are the interfaces of which the command line speaks, and that it does not make; of
// those that are invented the address is, too.
func (c Config) supposed() (have, invented []link.Device) {
	suppose := func(m link.PortMatch) {
		renamed := slices.ContainsFunc(c.Renames, func(r Rename) bool { return r.Name == m.Name })
		if m.Name != "" && (c.Made(m.Name) || renamed) ||
			m != (link.PortMatch{}) && slices.ContainsFunc(have, m.Selects) {
			return
		}
		some := strings.NewReplacer("*", "0", "?", "0")
		d := link.Device{
			Index: len(have) + 2, Name: some.Replace(m.Name), Driver: some.Replace(m.Driver), Addr: m.Addr,
			Type: link.HwEthernet, MTU: 1500, Physical: true, Carrier: true,
		}
		kind := "eth"
		if len(m.Addr) == 8 || len(m.Addr) == 20 || strings.HasPrefix(d.Name, "ib") {
			kind, d.Type, d.MTU = "ib", link.HwInfiniBand, 2044 // datagram mode
		}
		switch {
		case len(d.Addr) == 8:
			d.Addr = link.HardwareAddr(make([]byte, 12)) + d.Addr
		case d.Addr == "" && kind == "ib":
			d.Addr = link.HardwareAddr(append(make([]byte, 19), byte(d.Index)))
		case d.Addr == "":
			d.Addr = link.HardwareAddr([]byte{2, 0, 0, 0, 0, byte(d.Index)})
		}
		for n := 0; d.Name == ""; n++ {
			name := fmt.Sprintf("%s%d", kind, n)
			if !slices.ContainsFunc(have, func(o link.Device) bool { return o.Name == name }) {
				d.Name = name
			}
		}
		have = append(have, d)
		if m.Addr == "" {
			invented = append(invented, d)
		}
	}
	for _, r := range c.Renames {
		suppose(link.PortMatch{Addr: r.Addr})
	}
	for _, b := range c.Bonds {
		for _, p := range b.Ports {
			suppose(p)
		}
	}
	for _, b := range c.Bridges {
		for _, p := range b.Ports {
			suppose(p)
		}
	}
	for _, v := range c.VLANs {
		suppose(v.Parent)
	}
	for _, child := range c.Children {
		suppose(link.PortMatch{Name: child.Parent})
	}
	if c.BootIF != "" {
		suppose(link.PortMatch{Addr: c.BootIF})
	}
	for _, n := range c.AddressingsOrDefault() {
		if m := n.PortMatch(); m != (link.PortMatch{}) {
			suppose(m)
		}
	}
	if m := c.BootDevice(); m != (link.PortMatch{}) {
		suppose(m)
	}
	// An argument that names no interface wants one that no other of its family names.
	for _, n := range c.AddressingsOrDefault() {
		named := func(d link.Device) bool {
			return slices.ContainsFunc(c.AddressingsOrDefault(), func(o Addressing) bool {
				m := o.PortMatch()
				return o.IPv6() == n.IPv6() && m != (link.PortMatch{}) && m.Selects(d)
			})
		}
		taken := !slices.ContainsFunc(have, func(d link.Device) bool { return !named(d) })
		if n.PortMatch() == (link.PortMatch{}) && taken {
			suppose(link.PortMatch{})
		}
	}
	if have == nil {
		suppose(link.PortMatch{})
	}
	return have, invented
}
