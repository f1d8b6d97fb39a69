package netsetup

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/init/cmdline"
)

// ibftDir is where the kernel shows the iSCSI Boot Firmware Table
// (drivers/firmware/iscsi_ibft.c), below /sys.
const ibftDir = "firmware/ibft"

// An ibftNIC is one of the table's NIC structures, as the files of a folder
// ethernetN show it (Documentation/ABI/testing/sysfs-ibft). The kernel leaves
// the files of what is zero away.
type ibftNIC struct {
	dir      string // ethernet0
	selected bool   // the firmware booted from it
	mac      HardwareAddr
	addr     netip.Prefix
	gateway  netip.Addr
	dns      []netip.Addr
	dhcp     bool // the address is of a DHCP server
	vlan     int
	hostname string
}

// Bits of the flags of a structure.
const (
	ibftValid    = 1 << iota // the structure is in use
	ibftSelected             // the firmware boots from it
)

// ibftOriginDHCP is the origin of an address that a DHCP server gave; others are
// 0 other, 1 manual, 2 well known, 4 random.
const ibftOriginDHCP = 3

func (c *Config) hasIBFT() bool {
	return slices.ContainsFunc(c.Interfaces, func(n Interface) bool { return n.Method == MethodIBFT })
}

// WithIBFT returns the config with the address of the firmware's iSCSI boot
// table in the place of every ip=ibft: a static word for the MAC that the table
// has, since what the firmware got by DHCP is its lease for the whole boot, as
// with IPAPPEND 3. Where the table has no address but DHCP, the word becomes one
// of DHCP. What the word itself says goes before what the table says. The
// initiator's name is taken as well, and a VLAN is made where the table has one.
//
// fsys is /sys, and the module iscsi_ibft has to be loaded. A config without
// ip=ibft is returned as it is. The error is a *cmdline.ValueError where it
// cannot pass: there is no table, or nothing in it.
func (c Config) WithIBFT(fsys fs.FS) (Config, error) {
	if !c.hasIBFT() {
		return c, nil
	}
	t := ibftReader{fsys: fsys}
	nics := t.nics()
	if t.err != nil {
		return Config{}, t.err
	}
	c.InitiatorName = t.initiator()
	words := c.Interfaces
	c.Interfaces, c.VLANs = nil, slices.Clone(c.VLANs)
	var p problems
	for _, n := range words {
		if n.Method != MethodIBFT {
			c.Interfaces = append(c.Interfaces, n)
			continue
		}
		chosen, err := c.choose(n, nics, fsys)
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
	c.check(&p)
	if p.errs != nil {
		return Config{}, errors.Join(p.errs...)
	}
	return c, nil
}

// choose returns the structures that the word is about: of the address that the
// word, ifname= or the device itself gives, else those that the firmware
// booted from.
func (c *Config) choose(n Interface, nics []ibftNIC, fsys fs.FS) ([]ibftNIC, error) {
	mac := n.Match
	if n.Device != "" {
		for _, r := range c.Renames {
			if r.Name == n.Device {
				mac = r.Addr
			}
		}
		if b, err := fs.ReadFile(fsys, "class/net/"+n.Device+"/address"); err == nil && mac == "" {
			mac, _ = parseAddress(strings.TrimSpace(string(b)))
		}
	}
	with := func(mac HardwareAddr) []ibftNIC {
		var list []ibftNIC
		for _, nic := range nics {
			if nic.mac == mac || sameGUID(nic.mac, mac) {
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
			have = append(have, nic.mac.String())
		}
		return nil, n.ibft("the table of the firmware has no port "+mac.String()+" (it has "+strings.Join(have, ", ")+")",
			"write ip=ibft, or the device that the firmware boots from")
	}
	if list := with(c.BootIF); c.BootIF != "" && list != nil {
		return list, nil
	}
	var selected []ibftNIC
	for _, nic := range nics {
		if nic.selected {
			selected = append(selected, nic)
		}
	}
	if selected == nil {
		selected = nics
	}
	if n.Device != "" && len(selected) > 1 {
		// The word may be tried again when the driver has come.
		return nil, fmt.Errorf("ip=%s: the table of the firmware has %s and %s is not there yet, so that its MAC is not known; write ip=ibft, or the MAC instead of the name",
			n, count(len(selected), "port"), n.Device)
	}
	return selected, nil
}

func sameGUID(a, b HardwareAddr) bool {
	if len(a) == 6 && len(b) == 6 {
		return false
	}
	g, _ := a.GUID()
	h, _ := b.GUID()
	return g.Is(h)
}

// ibft is an error about the word.
func (n Interface) ibft(problem, fix string) error {
	return &cmdline.ValueError{Key: "ip", Value: n.String(), Problem: problem, Fix: fix}
}

// take fills the word with what the structure says.
func (c *Config) take(n Interface, nic ibftNIC) (Interface, error) {
	word := n
	n.Device, n.Match = "", nic.mac
	switch {
	case nic.addr.IsValid():
		n.Method, n.Address = MethodStatic, nic.addr
		if !n.Gateway.IsValid() {
			n.Gateway = nic.gateway
		}
	case nic.dhcp:
		n.Method = MethodDHCP
	default:
		return n, word.ibft("the firmware left no address for "+nic.mac.String()+" ("+nic.dir+") in its table",
			"give the port an address in the firmware's iSCSI settings, or write ip="+strings.ReplaceAll(nic.mac.String(), ":", "-")+":dhcp")
	}
	if len(n.DNS) == 0 {
		n.DNS = nic.dns
	}
	if n.Hostname == "" {
		n.Hostname = nic.hostname
	}
	if nic.vlan != 0 {
		n.Match, n.Device = "", c.vlanOf(nic)
	}
	return n, nil
}

// vlanOf returns the name of the VLAN that the structure is about: the one that
// vlan= makes on that port, or one made here, with the name that dracut gives it.
func (c *Config) vlanOf(nic ibftNIC) string {
	v := VLAN{Name: "ibft" + strings.TrimPrefix(nic.dir, "ethernet") + "." + strconv.Itoa(nic.vlan), Parent: PortMatch{Addr: nic.mac}, ID: nic.vlan}
	for _, o := range c.VLANs {
		if o.ID == v.ID && o.Parent == v.Parent {
			return o.Name
		}
	}
	c.VLANs = append(c.VLANs, v)
	return v.Name
}

// An ibftReader reads the table; the first error stays.
type ibftReader struct {
	fsys fs.FS
	err  error
}

// nics are the structures that are in use, in the order of their numbers.
func (t *ibftReader) nics() []ibftNIC {
	entries, err := fs.ReadDir(t.fsys, ibftDir)
	if err != nil {
		word := Interface{Method: MethodIBFT}
		t.err = word.ibft("the firmware left no iBFT (/sys/"+ibftDir+" is not there)",
			"check that the firmware boots by iSCSI and that the image holds iscsi_ibft (profile ibft), or write ip=dhcp")
		return nil
	}
	var list []ibftNIC
	for number := range 16 {
		dir := "ethernet" + strconv.Itoa(number)
		if !slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == dir }) {
			continue
		}
		if flags := t.number(dir, "flags", 255); flags&ibftValid != 0 {
			list = append(list, t.nic(dir, flags))
		}
	}
	if list == nil && t.err == nil {
		word := Interface{Method: MethodIBFT}
		t.err = word.ibft("the firmware's iBFT has no network port in use (/sys/"+ibftDir+"/ethernet*/flags)",
			"check the iSCSI settings of the firmware, or write ip=dhcp")
	}
	return list
}

// nic reads one structure.
func (t *ibftReader) nic(dir string, flags int) ibftNIC {
	nic := ibftNIC{dir: dir, selected: flags&ibftSelected != 0, vlan: t.number(dir, "vlan", 4094)}
	var err error
	if nic.mac, err = ParseHardwareAddr(t.text(dir, "mac")); err != nil || nic.mac == "\x00\x00\x00\x00\x00\x00" {
		t.bad(dir, "mac", "a MAC address")
	}
	if addr := t.addr(dir, "ip-addr"); addr.IsValid() {
		bits := t.number(dir, "prefix-len", addr.BitLen())
		if mask := t.text(dir, "subnet-mask"); bits == 0 && mask != "" && addr.Is4() {
			bits, _ = parseMask(mask, false)
		}
		if bits == 0 {
			bits = usualBits(addr)
		}
		nic.addr = netip.PrefixFrom(addr, bits)
		if !usable(nic.addr) {
			t.bad(dir, "ip-addr", "the address of a host")
		}
		// Both families share the fields, so all are of the same.
		if gw := t.addr(dir, "gateway"); gw.IsValid() && gw.Is6() == addr.Is6() && usable(netip.PrefixFrom(gw, gw.BitLen())) {
			nic.gateway = gw
		}
	}
	for _, name := range []string{"primary-dns", "secondary-dns"} {
		if dns := t.addr(dir, name); dns.IsValid() && dns.Is6() == nic.addr.Addr().Is6() {
			nic.dns = append(nic.dns, dns)
		}
	}
	nic.dhcp = t.number(dir, "origin", 255) == ibftOriginDHCP || t.addr(dir, "dhcp").IsValid()
	if name := t.text(dir, "hostname"); validHostname(name) {
		nic.hostname = name
	}
	return nic
}

// initiator is the name of the initiator structure, empty when it has none.
func (t *ibftReader) initiator() string {
	if t.number("initiator", "flags", 255)&ibftValid == 0 {
		return ""
	}
	name := t.text("initiator", "initiator-name")
	if !printable(name) {
		return ""
	}
	return name
}

// text is the content of a file, empty when there is none.
func (t *ibftReader) text(dir, name string) string {
	b, err := fs.ReadFile(t.fsys, ibftDir+"/"+dir+"/"+name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && t.err == nil {
		t.err = fmt.Errorf("read the firmware's iBFT: %w", err)
	}
	return strings.TrimRight(strings.TrimSpace(string(b)), "\x00")
}

// bad notes that a file does not hold what it is for.
func (t *ibftReader) bad(dir, name, want string) {
	if t.err != nil {
		return
	}
	word := Interface{Method: MethodIBFT}
	t.err = word.ibft("the firmware's iBFT is damaged: /sys/"+ibftDir+"/"+dir+"/"+name+" holds "+strconv.Quote(clip(t.text(dir, name)))+", not "+want,
		"check the iSCSI settings of the firmware, or write ip=dhcp")
}

// number reads a number up to a limit, 0 when there is none.
func (t *ibftReader) number(dir, name string, most int) int {
	s := t.text(dir, name)
	if s == "" {
		return 0
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < 0 || v > most {
		t.bad(dir, name, "a number from 0 to "+strconv.Itoa(most))
		return 0
	}
	return v
}

// addr reads an address, the zero value when there is none.
func (t *ibftReader) addr(dir, name string) netip.Addr {
	s := t.text(dir, name)
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		t.bad(dir, name, "an address")
		return netip.Addr{}
	}
	if a = a.Unmap(); a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
