package netsetup

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/init/cmdline"
)

// A Config says what the network shall be. The zero value is DHCP on all
// candidates.
type Config struct {
	// Off leaves every interface but lo alone: ip=off or ip=none without a
	// device.
	Off bool
	// Interfaces are the ip= words in order. None means one of DHCP on all
	// candidates.
	Interfaces []Interface
	// BootIF is the address of the interface the firmware booted from, of
	// InfiniBand the GUID, or 6 bytes that can be either. It
	// stands for the device in an ip= word that names none.
	BootIF HardwareAddr
	// BootDev is the interface of that name instead; it also is the one Up
	// may not do without when there are several.
	BootDev string
	// NeedNet is rd.neednet: bring the network up even if the root does not
	// need it. The caller decides.
	NeedNet bool
	// Nameservers come before those of DHCP.
	Nameservers []netip.Addr
	// IgnorePeerDNS is rd.peerdns=0: do not use name servers and search
	// domains of DHCP.
	IgnorePeerDNS bool
	// Routes are those of rd.route=; one without a device belongs to the
	// first interface that comes up.
	Routes []Route
	// Renames are those of ifname=.
	Renames []Rename
	// CarrierTimeout is how long to wait for carrier, DHCPTimeout how long
	// one attempt at DHCP may take; zero waits as long as the context.
	CarrierTimeout, DHCPTimeout time.Duration
	// DHCPRetry is the number of attempts of DHCPTimeout; zero is one.
	DHCPRetry int
	// VendorClass is option 60; empty sends none.
	VendorClass string
	// ClientID is option 61; empty is "auto".
	ClientID ClientID
	// Children and Bonds are the links to make.
	Children []Child
	Bonds    []Bond
	// IBMode is the transport of IPoIB, datagram or connected; empty leaves
	// it as the kernel has it.
	IBMode string
	// IBPort says which InfiniBand ports are candidates.
	IBPort PortSelector
}

// connected is the IPoIB transport of reliable connections, with an MTU of up
// to 65520 bytes. The other is datagram.
const connected = "connected"

// A Method is how an interface gets its address. The zero value is invalid.
type Method int

// The methods of ip=.
const (
	MethodDHCP   Method = iota + 1 // dhcp, on, any, single-dhcp or nothing
	MethodStatic                   // an address is given
	MethodNone                     // the link is set up, no address
)

// String returns the word of ip=.
func (m Method) String() string {
	switch m {
	case MethodDHCP:
		return "dhcp"
	case MethodStatic:
		return "static"
	case MethodNone:
		return "none"
	default:
		return "Method(" + strconv.Itoa(int(m)) + ")"
	}
}

// An Interface is one ip= word.
type Interface struct {
	// Device is the name, Match the address (or GUID) of the one device it is about;
	// both empty: any candidate.
	Device string
	Match  HardwareAddr
	Method Method
	// Address is the static address with its prefix length.
	Address netip.Prefix
	// Bits is the prefix length to use where DHCP gives none, 0 for none.
	Bits int
	// Server is the boot server, the host of an NFS root that names none.
	Server netip.Addr
	// Gateway, Hostname and MTU override those of DHCP.
	Gateway  netip.Addr
	Hostname string
	MTU      int
	// NewAddr is the hardware address to give to the device.
	NewAddr HardwareAddr
	DNS     []netip.Addr
	NTP     []netip.Addr
}

// A Rename gives the device of an address a name: ifname=name:address.
type Rename struct {
	Name string
	Addr HardwareAddr
}

func (c Config) interfaces() []Interface {
	if len(c.Interfaces) == 0 && !c.Off {
		return []Interface{{Method: MethodDHCP}}
	}
	return c.Interfaces
}

// Keys returns the keys of the command line that ParseConfig reads.
func Keys() []string {
	return []string{
		"ip", "BOOTIF", "rd.bootif", "bootdev", "nameserver", "rd.route", "rd.neednet", "rd.peerdns",
		"rd.net.timeout.carrier", "rd.net.timeout.dhcp", "rd.net.dhcp.retry", "rd.net.dhcp.vendor-class",
		"ifname", "nodisk.dhcp.clientid",
		"bond", "team", "bridge", "vlan", "ib.pkey", "nodisk.ib.mode", "nodisk.ib.port",
	}
}

// ParseConfig reads the network words of a command line. It returns all
// errors, joined; each is a *cmdline.ValueError.
func ParseConfig(args cmdline.Args) (Config, error) {
	var (
		c Config
		p problems
	)
	bootIF := p.flag(args, "rd.bootif", true)
	for _, a := range args {
		if a.Key == "BOOTIF" && !bootIF {
			continue
		}
		c.parse(a, &p)
	}
	c.NeedNet = p.flag(args, "rd.neednet", false)
	c.IgnorePeerDNS = !p.flag(args, "rd.peerdns", true)
	c.check(&p)
	if len(p.errs) > 0 {
		return Config{}, errors.Join(p.errs...)
	}
	if !c.Off {
		c.Interfaces = c.interfaces()
	}
	return c, nil
}

// parse reads one argument into c.
func (c *Config) parse(a cmdline.Arg, p *problems) {
	key := func(k string) bool { return cmdline.SameKey(a.Key, k) }
	switch {
	case key("ip"):
		c.parseIP(a, p)
	case a.Key == "BOOTIF":
		c.BootIF = p.bootIF(a)
	case key("bootdev"):
		c.BootDev = p.deviceName(a, a.Value)
	case key("nameserver"):
		if addr := p.addr(a, "", a.Value); addr.IsValid() {
			c.Nameservers = append(c.Nameservers, addr)
		}
	case key("rd.route"):
		c.parseRoute(a, p)
	case key("rd.net.timeout.carrier"):
		c.CarrierTimeout = time.Duration(p.number(a, a.Value, 1, 86400)) * time.Second
	case key("rd.net.timeout.dhcp"):
		c.DHCPTimeout = time.Duration(p.number(a, a.Value, 1, 86400)) * time.Second
	case key("rd.net.dhcp.retry"):
		c.DHCPRetry = p.number(a, a.Value, 1, 10000)
	case key("rd.net.dhcp.vendor-class"):
		if len(a.Value) == 0 || len(a.Value) > 255 {
			p.bad(a, "is not 1 to 255 characters", "write the text of DHCP option 60, for example PXEClient")
		}
		c.VendorClass = a.Value
	case key("ifname"):
		c.parseRename(a, p)
	case key("nodisk.dhcp.clientid"):
		c.ClientID = p.clientID(a)
	case key("ib.pkey"):
		c.parseChild(a, p)
	case key("bond"):
		c.parseBond(a, p)
	case key("nodisk.ib.mode"):
		if a.Value != connected && a.Value != "datagram" {
			p.bad(a, "is not a mode of IPoIB", "write datagram or connected")
		}
		c.IBMode = a.Value
	case key("nodisk.ib.port"):
		c.IBPort = p.portSelector(a)
	case key("team"), key("bridge"), key("vlan"):
		p.bad(a, a.Key+"= is not built yet", "leave it out")
	}
}

// check looks at the words together.
func (c *Config) check(p *problems) {
	seen := map[string]bool{}
	for _, n := range c.Interfaces {
		name := n.Device + n.Match.String()
		switch {
		case seen[name] && !n.named():
			p.add("ip", n.String(), "is the second ip= without a device", "name the device in one of them, or leave one out (pxelinux adds one for IPAPPEND 1 and 3)")
		case seen[name]:
			p.add("ip", n.String(), "configures "+name+" a second time", "write one ip= for each device")
		}
		if n.NewAddr != "" && !n.named() {
			p.add("ip", n.String(), "gives a hardware address to no certain device", "name the device")
		}
		seen[name] = true
	}
	c.checkLinks(p)
	if c.Off && len(c.Interfaces) > 0 {
		p.add("ip", "off", "contradicts the other ip=", "leave one of them out")
	}
	if c.DHCPRetry > 0 && c.DHCPTimeout == 0 {
		c.DHCPTimeout = defaultAttempt
	}
}

// defaultAttempt is the length of one of several attempts, that of dhclient,
// which dracut's documentation of rd.net.dhcp.retry refers to.
const defaultAttempt = 60 * time.Second

// parseRename reads ifname=name:address.
func (c *Config) parseRename(a cmdline.Arg, p *problems) {
	name, rest, _ := strings.Cut(a.Value, ":")
	addr, err := parseAddress(rest)
	switch {
	case !validDeviceName(name):
		p.bad(a, strconv.Quote(name)+" is not an interface name", "write ifname=name:aa:bb:cc:dd:ee:ff")
	case err != nil:
		p.bad(a, "the address "+err.Error(), "write ifname=name:aa:bb:cc:dd:ee:ff")
	default:
		c.Renames = append(c.Renames, Rename{Name: name, Addr: addr})
	}
}

// parseRoute reads rd.route=net/mask:gateway[:device].
func (c *Config) parseRoute(a cmdline.Arg, p *problems) {
	const fix = "write net/mask:gateway[:device], for example 10.1.0.0/16:10.0.0.1:eth0"
	f, ok := splitFields(a.Value)
	if !ok || len(f) < 2 || len(f) > 3 {
		p.bad(a, "is not net/mask:gateway[:device]", fix)
		return
	}
	var r Route
	if f[0] == "default" {
		f[0] = "0.0.0.0/0"
	}
	net, mask, hasMask := strings.Cut(f[0], "/")
	addr := p.addr(a, "net", net)
	bits := 32
	if hasMask {
		if bits, ok = parseMask(mask); !ok {
			p.bad(a, "mask "+mask+" is not a netmask", fix)
			return
		}
	}
	if !addr.IsValid() {
		return
	}
	r.Dst = netip.PrefixFrom(addr, bits).Masked()
	if f[1] != "" {
		if r.Via = p.addr(a, "gateway", f[1]); !r.Via.IsValid() {
			return
		}
	}
	if len(f) == 3 {
		r.Dev = p.deviceName(a, f[2])
	}
	if !r.Via.IsValid() && r.Dev == "" {
		p.bad(a, "names neither gateway nor device", fix)
		return
	}
	c.Routes = append(c.Routes, r)
}
