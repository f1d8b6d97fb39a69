package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/ibft"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// UsesIBFT reports whether there is an ip=ibft.
func (c Config) UsesIBFT() bool {
	return slices.ContainsFunc(c.Interfaces, func(n Addressing) bool { return n.Method == lease.MethodIBFT })
}

// WithIBFT returns the config with the address of the firmware's iSCSI boot table in the place of
// every ip=ibft: a static argument for the MAC in the table, since what the firmware got by DHCP
// is its lease for the whole boot, as with IPAPPEND 3. Where the table has no address but DHCP,
// the argument becomes one of DHCP. What the argument itself says takes precedence over the
// table. The initiator's name is taken as well, and a VLAN is made where the table has one.
//
// fsys is /sys. Where the firmware left no ACPI table, the module iscsi_ibft has to be loaded. A
// config without ip=ibft is returned as it is. The error is a *cmdline.ValueError where it cannot
// pass: there is no table, or nothing in it.
func (c Config) WithIBFT(fsys fs.FS) (Config, error) {
	if !c.UsesIBFT() {
		return c, nil
	}
	word := Addressing{Method: lease.MethodIBFT}
	t, err := ibft.Read(fsys)
	_, damaged := errors.AsType[*ibft.DamagedError](err)
	switch {
	case errors.Is(err, ibft.ErrNone):
		return Config{}, word.ibft(
			err.Error(),
			"check that the firmware boots by iSCSI and, with a BIOS, that the image holds iscsi_ibft (profile "+
				"ibft), or write ip=dhcp",
		)
	case damaged:
		return Config{}, word.ibft(err.Error(), "check the iSCSI settings of the firmware, or write ip=dhcp")
	case err != nil:
		return Config{}, err
	case len(t.NICs) == 0:
		return Config{}, word.ibft("the firmware's iBFT has no network port in use",
			"check the iSCSI settings of the firmware, or write ip=dhcp")
	}
	if lease.InitiatorName(t.Initiator) {
		c.InitiatorName = t.Initiator
	}
	words := c.Interfaces
	c.Interfaces, c.VLANs = nil, slices.Clone(c.VLANs)
	var p problems
	for _, n := range words {
		if n.Method != lease.MethodIBFT {
			c.Interfaces = append(c.Interfaces, n)
			continue
		}
		chosen, err := c.choose(n, t.NICs, fsys)
		if err != nil {
			return Config{}, err
		}
		for _, nic := range chosen {
			m, err := c.take(n, nic)
			if err != nil {
				return Config{}, err
			}
			m.checkFields(cmdline.Arg{Key: "ip", Value: n.String()}, &p)
			c.Interfaces = append(c.Interfaces, m)
		}
	}
	c.Interfaces, _ = c.folded()
	c.check(&p, nil)
	if p.errs != nil {
		return Config{}, errors.Join(p.errs...)
	}
	return c, nil
}

// choose returns the structures that the argument is about: of the address that the
// argument, ifname= or the device itself gives, else those that the firmware
// booted from.
func (c *Config) choose(n Addressing, nics []ibft.NIC, fsys fs.FS) ([]ibft.NIC, error) {
	mac := n.Match
	if n.Device != "" {
		for _, r := range c.Renames {
			if r.Name == n.Device {
				mac = r.Addr
			}
		}
		if b, err := fs.ReadFile(fsys, "class/net/"+n.Device+"/address"); err == nil && mac == "" {
			mac, _ = link.ParseAddress(strings.TrimSpace(string(b)))
		}
	}
	with := func(mac link.HardwareAddr) []ibft.NIC {
		var list []ibft.NIC
		for _, nic := range nics {
			if m := macOf(nic); m == mac || sameGUID(m, mac) {
				list = append(list, nic)
			}
		}
		return list
	}
	if mac != "" {
		if list := with(mac); list != nil {
			return list, nil
		}
		var have []string
		for _, nic := range nics {
			have = append(have, macOf(nic).String())
		}
		return nil, n.ibft("the firmware's iBFT has no port "+mac.String()+" (it has "+strings.Join(have, ", ")+")",
			"write ip=ibft, or the device that the firmware boots from")
	}
	if list := with(c.BootIF); c.BootIF != "" && list != nil {
		return list, nil
	}
	var selected []ibft.NIC
	for _, nic := range nics {
		if nic.Selected {
			selected = append(selected, nic)
		}
	}
	if selected == nil {
		selected = nics
	}
	if n.Device != "" && len(selected) > 1 {
		// The argument may be tried again when the driver has come.
		return nil, fmt.Errorf(
			"ip=%s: the firmware's iBFT has %s, and %s is not there yet, so its MAC is not known; write ip=ibft, "+
				"or the MAC instead of the name",
			n,
			phrase.Count(len(selected), "port"),
			n.Device,
		)
	}
	return selected, nil
}

func sameGUID(a, b link.HardwareAddr) bool {
	if len(a) == 6 && len(b) == 6 {
		return false
	}
	g, _ := a.GUID()
	h, _ := b.GUID()
	return g.Is(h)
}

// ibft is an error about the argument.
func (n Addressing) ibft(problem, fix string) error {
	return &cmdline.ValueError{Key: "ip", Value: n.String(), Problem: problem, Fix: fix}
}

func macOf(nic ibft.NIC) link.HardwareAddr { return link.HardwareAddr(nic.MAC[:]) }

// take fills the argument with what the structure says.
func (c *Config) take(n Addressing, nic ibft.NIC) (Addressing, error) {
	word, mac, dir := n, macOf(nic), "NIC "+strconv.Itoa(nic.Index)
	damaged := func(what string) (Addressing, error) {
		return n, word.ibft(
			"the firmware's iBFT is damaged: "+dir+" has "+what,
			"check the iSCSI settings of the firmware, or write ip=dhcp",
		)
	}
	if nic.MAC == [6]byte{} || nic.MAC[0]&1 != 0 {
		return damaged("the MAC " + mac.String() + ", which is not that of a port")
	}
	n.Device, n.Match = "", mac
	switch {
	case nic.Addr.IsValid():
		bits := nic.Bits
		if bits == 0 {
			bits = link.UsualBits(nic.Addr)
		}
		n.Method, n.Address = lease.MethodStatic, netip.PrefixFrom(nic.Addr, bits)
		if !link.Usable(n.Address) {
			return damaged(nic.Addr.String() + "/" + strconv.Itoa(bits) + ", which is not the address of a host")
		}
		// Both families share the fields, so all are of the same.
		if gw := nic.Gateway; !n.Gateway.IsValid() && gw.Is6() == nic.Addr.Is6() &&
			link.Usable(netip.PrefixFrom(gw, gw.BitLen())) {
			n.Gateway = gw
		}
	case nic.DHCP:
		n.Method = lease.MethodDHCP
	default:
		return n, word.ibft(
			"the firmware left no address for "+mac.String()+" ("+dir+") in its table",
			"give the port an address in the firmware's iSCSI settings, or write ip="+strings.ReplaceAll(
				mac.String(),
				":",
				"-",
			)+":dhcp",
		)
	}
	if len(n.DNS) == 0 {
		for _, a := range nic.DNS {
			if a.Is6() == nic.Addr.Is6() {
				n.DNS = append(n.DNS, a)
			}
		}
	}
	if n.Hostname == "" && ValidHostname(nic.Hostname) {
		n.Hostname = nic.Hostname
	}
	switch {
	case nic.VLAN > 4094:
		return damaged("the VLAN " + strconv.Itoa(nic.VLAN) + ", and there are 4094")
	case nic.VLAN != 0:
		n.Match, n.Device = "", c.vlanOf(nic)
	}
	return n, nil
}

// vlanOf returns the name of the VLAN that the structure is about: the one that
// vlan= makes on that port, or one made here, with the name that dracut gives it.
func (c *Config) vlanOf(nic ibft.NIC) string {
	v := link.VLAN{
		Name:   "ibft" + strconv.Itoa(nic.Index) + "." + strconv.Itoa(nic.VLAN),
		Parent: link.PortMatch{Addr: macOf(nic)},
		ID:     nic.VLAN,
	}
	for _, o := range c.VLANs {
		if o.ID == v.ID && o.Parent == v.Parent {
			return o.Name
		}
	}
	c.VLANs = append(c.VLANs, v)
	return v.Name
}
