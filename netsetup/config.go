package netsetup

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A Config says what the network is to be. The zero value is DHCP on all candidates.
type Config struct {
	// Off leaves every interface but lo alone: ip=off or ip=none without a
	// device.
	Off bool
	// Interfaces are the ip= arguments in order. None means one of DHCP on all
	// candidates.
	Interfaces []Addressing
	// BootIF is the address of the interface the firmware booted from, of
	// InfiniBand the GUID, or 6 bytes that can be either. It
	// stands for the device in an ip= argument that names none.
	BootIF link.HardwareAddr
	// BootWord is set if an ip= names BOOTIF: its argument has no device until Up has seen that
	// of BootIF, or what is made of it.
	BootWord bool
	// BootDev is the interface of that name, address or description instead; it is also the one
	// Up cannot do without when there are several.
	BootDev string
	// NeedNet is rd.neednet: bring the network up even if the root does not
	// need it. The caller decides.
	NeedNet bool
	// Nameservers come before those of DHCP.
	Nameservers []netip.Addr
	// NoProbe is nodisk.arp-probe=0: take addresses without asking the link
	// whether another node has them.
	NoProbe bool
	// IgnorePeerDNS is rd.peerdns=0: do not use name servers and search
	// domains of DHCP.
	IgnorePeerDNS bool
	// Routes are those of rd.route=; one without a device belongs to the
	// first interface that comes up.
	Routes []link.Route
	// Renames are those of ifname=.
	Renames []Rename
	// KernelNames leaves interfaces the names that the kernel gives them, apart from Renames:
	// net.ifnames=0 or nodisk.ifnames=kernel.
	KernelNames bool
	// USBNames is after what NICs on USB are named; see [USBNaming].
	USBNames USBNaming
	// Unheeded are sentences about arguments that have no effect beside the others.
	Unheeded []string
	// NamingScheme is net.naming_scheme=: which of udev's rules apply, "v252" or "rhel-9.5";
	// empty for the latest known scheme.
	NamingScheme string
	// NamePolicies are those of net.ifname_policy=.
	NamePolicies []NamePolicy
	// CarrierTimeout is how long to wait for carrier, DHCPTimeout how long
	// one attempt at DHCP may take; zero waits as long as the context.
	CarrierTimeout, DHCPTimeout time.Duration
	// RouterTimeout is how long an address by router advertisement may take,
	// CheckTimeout how long the check of a static or link-local one of IPv6
	// (rd.net.timeout.ipv6auto, ipv6dad); 0 is DHCPTimeout.
	RouterTimeout, CheckTimeout time.Duration
	// DHCPRetry is the number of attempts of DHCPTimeout; zero is one.
	DHCPRetry int
	// VendorClass is option 60; empty sends none.
	VendorClass string
	// UserClass is option 77; empty sends none.
	UserClass string
	// ClientID is option 61; empty is "auto".
	ClientID lease.ClientID
	// Hostname is nodisk.hostname= when it is a name: it applies to every ip= argument that gives
	// none.
	Hostname string
	// ReverseName asks the name servers for the name of the address when
	// nothing else names the node. The caller does it; see State.WithName.
	ReverseName bool
	// InitiatorName is the iSCSI initiator of the iBFT; see WithIBFT.
	InitiatorName string
	// Children, VLANs, Bonds and Bridges are the links to make.
	Children []link.Child
	VLANs    []link.VLAN
	Bonds    []link.Bond
	Bridges  []link.Bridge
	// IBMode is the transport of IPoIB, datagram or connected; empty leaves
	// it as the kernel has it.
	IBMode string
	// IBPort says which InfiniBand ports are candidates.
	IBPort link.PortSelector
	// Needs is what the boot wants the network for. It is in no argument: the caller sets it, who
	// knows the root.
	Needs Needs
	// Loading says which drivers are still loading, as "modules are still loading: a, b"; empty
	// if none is, and a missing interface has another cause. It is called whenever a message
	// reports a missing one. Nil: nobody knows.
	Loading func() string
}

// An Addressing is one ip= argument.
type Addressing struct {
	// Device is the name, Match the address (or GUID) of the one device it is about. A
	// name with * and ?, or Driver, the kernel's name of a driver with them, describes
	// candidates, of which the first that serves is taken. All empty: any candidate.
	//
	// Up sets Device besides Match when it has seen the device.
	Device string
	Match  link.HardwareAddr
	Driver string
	Method lease.Method
	// Address is the static address with its prefix length, More are further ones of
	// the same family, from further ip= arguments for that device.
	Address netip.Prefix
	More    []netip.Prefix
	// Bits is the prefix length to use where DHCP gives none, 0 for none.
	Bits int
	// Server is the boot server, the host of an NFS root that names none.
	Server netip.Addr
	// Peer is Server with dracut's prefix length: what is at the other end of the
	// link, whatever the netmask says. Only with a static address.
	Peer netip.Prefix
	// ClientID is option 61 for this argument, and takes precedence over that of the Config: the
	// kernel's ip=dhcp,TYPE,TEXT.
	ClientID lease.ClientID
	// Gateway, Hostname and MTU override those of DHCP.
	Gateway  netip.Addr
	Hostname string
	MTU      int
	// NewAddr is the hardware address to give to the device.
	NewAddr link.HardwareAddr
	DNS     []netip.Addr
	NTP     []netip.Addr
}

// A Rename gives the device of an address a name: ifname=name:address.
type Rename struct {
	Name string
	Addr link.HardwareAddr
}

// AddressingsOrDefault are those of the command line; without any, DHCP on whatever is there.
func (c Config) AddressingsOrDefault() []Addressing {
	if len(c.Interfaces) == 0 && !c.Off {
		return []Addressing{{Method: lease.MethodDHCP}}
	}
	return c.Interfaces
}

// ParseConfig reads the network arguments of a command line. It returns all
// errors, joined; each is a *cmdline.ValueError.
func ParseConfig(args cmdline.Args) (Config, error) {
	var (
		c Config
		p problems
	)
	// First, because BOOTIF names a device in other arguments.
	if p.flag(args, "rd.bootif", true) {
		for _, a := range args {
			if a.Key == bootIFWord {
				addr, told := p.bootIF(a)
				if told != "" {
					c.Unheeded = append(c.Unheeded, told)
				}
				if addr != "" { // an argument that names none does not take back what another has named
					c.BootIF = addr
				}
			}
		}
	}
	p.boot = c.BootIF
	for i, a := range args {
		// A template and what it includes may both have a line.
		if !makesLink(a.Key) || !slices.Contains(args[:i], a) {
			c.parse(a, &p)
		}
	}
	c.BootWord = p.bootWord
	c.NeedNet = p.flag(args, "rd.neednet", false)
	c.IgnorePeerDNS = !p.flag(args, "rd.peerdns", true)
	c.NoProbe = !p.flag(args, "nodisk.arp-probe", true)
	c.parseNaming(args, &p)
	if len(c.Interfaces) > 0 {
		c.Interfaces, _ = c.folded()
	}
	c.parseClientIDs(args, &p)
	c.check(&p, nil)
	if len(p.errs) > 0 {
		return Config{}, errors.Join(p.errs...)
	}
	if !c.Off {
		c.Interfaces = c.AddressingsOrDefault()
	}
	c.nameAll()
	return c, nil
}

// parse reads one argument into c.
func (c *Config) parse(a cmdline.Arg, p *problems) {
	key := func(k string) bool { return cmdline.SameKey(a.Key, k) }
	switch {
	case key("ip"):
		c.parseIP(a, p)
	case key("bootdev"):
		switch {
		case a.Value != bootIFWord:
			c.BootDev = p.deviceWord(a, a.Value)
		case p.boot == "": // else that decides anyway
			c.Unheeded = append(c.Unheeded, "bootdev=BOOTIF: without effect, BOOTIF= is not there or not used")
		}
	case key("nameserver"):
		if addr := p.far(a, "", a.Value); addr.IsValid() {
			c.Nameservers = append(c.Nameservers, addr)
		}
	case key("rd.net.dns"):
		c.parseDNS(a, p)
	case key("rd.route"):
		c.parseRoute(a, p)
	case key("rd.net.timeout.carrier"):
		c.CarrierTimeout = time.Duration(p.number(a, a.Value, 1, 86400)) * time.Second
	case key("rd.net.timeout.dhcp"):
		c.DHCPTimeout = time.Duration(p.number(a, a.Value, 1, 86400)) * time.Second
	case key("rd.net.timeout.ipv6auto"):
		c.RouterTimeout = time.Duration(p.number(a, a.Value, 1, 86400)) * time.Second
	case key("rd.net.timeout.ipv6dad"):
		c.CheckTimeout = time.Duration(p.number(a, a.Value, 1, 86400)) * time.Second
	case key("rd.net.dhcp.retry"):
		c.DHCPRetry = p.number(a, a.Value, 1, 10000)
	case key("rd.net.dhcp.vendor-class"):
		if len(a.Value) == 0 || len(a.Value) > 255 {
			p.bad(a, "is not 1 to 255 characters", "write the text of DHCP option 60, for example PXEClient")
		}
		c.VendorClass = a.Value
	case key("nodisk.dhcp.user-class"):
		// One class, preceded by its length (RFC 3004), in 255 bytes.
		if len(a.Value) == 0 || len(a.Value) > 254 {
			p.bad(a, "is not 1 to 254 bytes", "write the text of DHCP option 77, for example nodisk")
		}
		c.UserClass = a.Value
	case key("nodisk.hostname"):
		c.parseHostname(a, p)
	case key("ifname"):
		c.parseRename(a, p)
	case key("nodisk.dhcp.clientid"):
		c.ClientID = p.clientID(a)
	case key("ib.pkey"):
		c.parseChild(a, p)
	case key("bond"):
		c.parseBond(a, p)
	case key("vlan"):
		c.parseVLAN(a, p)
	case key("bridge"):
		c.parseBridge(a, p)
	case key("nodisk.ib.mode"):
		if a.Value != link.Connected && a.Value != "datagram" {
			p.bad(a, "is not a mode of IPoIB", "write datagram or connected")
		}
		c.IBMode = a.Value
	case key("nodisk.ib.port"):
		c.IBPort = p.portSelector(a)
	case key("team"):
		p.bad(a, "team devices need a daemon that nodisk does not have", "write bond= with the same ports")
	}
}

// bootIFWord is the key that a boot loader adds, and the name of that device in
// the arguments of initramfs-tools and MAAS (ip=::::host:BOOTIF).
const bootIFWord = "BOOTIF"

// makesLink reports whether the key makes a link, which cannot be made twice.
func makesLink(key string) bool {
	return slices.ContainsFunc(
		[]string{"bond", "vlan", "bridge", "ib.pkey"},
		func(k string) bool { return cmdline.SameKey(k, key) },
	)
}

// defaultAttempt is the length of one of several attempts, that of dhclient,
// which dracut's documentation of rd.net.dhcp.retry refers to.
const defaultAttempt = 60 * time.Second

// parseHostname reads nodisk.hostname=.
func (c *Config) parseHostname(a cmdline.Arg, p *problems) {
	c.Hostname, c.ReverseName = "", false
	switch {
	case a.Value == "dhcp":
	case a.Value == "reverse":
		c.ReverseName = true
	case ValidHostname(a.Value):
		c.Hostname = strings.TrimSuffix(a.Value, ".")
	default:
		p.bad(a, strconv.Quote(a.Value)+" is neither dhcp nor reverse nor a host name", hostnameFix)
	}
}

// parseRename reads ifname=name:address.
func (c *Config) parseRename(a cmdline.Arg, p *problems) {
	name, rest, _ := strings.Cut(a.Value, ":")
	addr, err := link.ParseAddress(rest)
	switch {
	case link.ErrNewName(name) != nil:
		p.bad(a, strconv.Quote(name)+" "+link.ErrNewName(name).Error(), "write ifname=name:aa:bb:cc:dd:ee:ff")
	case err != nil:
		p.bad(a, "the address "+err.Error(), "write ifname=name:aa:bb:cc:dd:ee:ff")
	default:
		c.Renames = append(c.Renames, Rename{Name: name, Addr: addr})
	}
}
