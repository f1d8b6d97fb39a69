package netsetup

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A State is what Up achieved.
type State struct {
	// Device is the interface that carries the root, empty when there is
	// none (ip=off).
	Device string
	// Names are the other names of the interface: the kernel's alternative ones, those
	// of udev, and the one that it had before nodisk renamed it.
	Names []string
	// MAC is the interface's address, on InfiniBand the port GUID: the part
	// of the address that stays.
	MAC link.HardwareAddr
	// Perm is the address that an adapter of Ethernet was made with, by which arguments call
	// it, where MAC is another.
	Perm    link.HardwareAddr
	Addrs   []netip.Prefix
	Gateway netip.Addr
	MTU     int // bytes, as it is now
	// Source says where the address is from: "DHCP from 10.77.0.1", "static", "none" or "off".
	Source string
	// Server is the boot server of the ip= argument.
	Server netip.Addr
	// Lease is the DHCP answer, nil for a static address.
	Lease *lease.Lease
	// Hostname is the first label, Domain the domain of the node.
	Hostname, Domain string
	Search           []string
	DNS, NTP         []netip.Addr
	// Took is the time from the start of Up.
	Took time.Duration
	// Others are further interfaces that were set up, in the order of ip=, followed by those that
	// rd.neednet wants besides.
	Others []State
}

// String is the fact for the stage line:
// "eth0 10.77.0.23/24 by DHCP from 10.77.0.1".
func (s State) String() string {
	if s.Device == "" {
		return "off"
	}
	var b strings.Builder
	b.WriteString(s.Device)
	for _, a := range s.Addrs {
		b.WriteString(" " + a.String())
	}
	switch {
	case len(s.Addrs) == 0:
		b.WriteString(" without address")
	case s.Lease != nil:
		b.WriteString(" by " + s.Source)
	default:
		b.WriteString(" " + s.Source)
	}
	for _, o := range s.Others {
		b.WriteString(", " + o.String())
	}
	return b.String()
}

// Called returns the interface that the name is about, among those that were set up: it may be
// another name of one, or its address. A name that fits no interface is returned as it is.
func (s State) Called(name string) string {
	all := append([]State{s}, s.Others...)
	has := func(s State) bool { return s.Device == name }
	addr := link.DeviceMatch(name).Addr
	other := func(s State) bool { return slices.Contains(s.Names, name) || addr != "" && addr.Identifies(s.device()) }
	if i := slices.IndexFunc(all, other); name != "" && i >= 0 && !slices.ContainsFunc(all, has) {
		return all[i].Device
	}
	return name
}

// device has what is needed to recognise the interface by its address.
func (s State) device() link.Device {
	if len(s.MAC) == 8 {
		return link.Device{Type: link.HwInfiniBand, Addr: s.MAC}
	}
	return link.Device{Type: link.HwEthernet, Addr: s.MAC, Perm: s.Perm}
}

// With adds the addresses of the other family on the same interface.
func (s State) With(o State) State {
	s.Addrs = append(slices.Clone(s.Addrs), o.Addrs...)
	if !s.Gateway.IsValid() {
		s.Gateway = o.Gateway
	}
	if s.Lease == nil || o.Lease != nil && s.Lease.RootPath == "" && o.Lease.RootPath != "" {
		s.Lease = o.Lease
	}
	if o.Source != s.Source {
		s.Source += ", " + o.Source
	}
	if !s.Server.IsValid() {
		s.Server = o.Server
	}
	if s.Hostname == "" {
		s.Hostname, s.Domain = o.Hostname, o.Domain
	}
	s.Search, s.DNS, s.NTP = sets.Union(s.Search, o.Search), sets.Union(s.DNS, o.DNS), sets.Union(s.NTP, o.NTP)
	return s
}

// ResolvConf is the content of resolv.conf(5), empty when no name server and no domain is known.
// It contains nothing but addresses and names, whatever the state holds: a line that a server
// smuggled in could set the resolver's options.
func (s State) ResolvConf() string {
	var b strings.Builder
	search := s.Search
	if s.Domain != "" {
		search = sets.Union([]string{s.Domain}, search)
	}
	search = slices.DeleteFunc(slices.Clone(search), func(name string) bool { return !link.ValidName(name) })
	if len(search) > 0 {
		b.WriteString("search " + strings.Join(search, " ") + "\n")
	}
	for _, a := range s.DNS {
		b.WriteString("nameserver " + a.String() + "\n")
	}
	return b.String()
}

// State says what the lease means for the node.
func (c Config) State(n Addressing, d link.Device, l lease.Lease) State {
	s := State{
		Device:  d.Name,
		MAC:     d.Lasting(),
		Gateway: l.Gateway,
		MTU:     d.MTU,
		Server:  n.Server,
		NTP:     l.NTP,
		Source:  n.Method.String(),
	}
	if d.Type == link.HwEthernet && d.Perm != d.Addr {
		s.Perm = d.Perm
	}
	others := d.Names()[1:]
	if d.Given != "" && d.Given != d.Name && !c.promised(d.Given) {
		others = append(others, d.Given)
	}
	if len(others) > 0 {
		s.Names = others
	}
	if l.Addr.IsValid() {
		s.Addrs = []netip.Prefix{l.Addr}
	}
	s.Addrs = append(append(s.Addrs, l.Kept...), l.More...)
	if !s.Gateway.IsValid() {
		s.Gateway = l.Router
	}
	s.DNS = sets.Union(c.Nameservers, n.DNS)
	s.Domain = l.Domain
	if l.Protocol != "" {
		s.Lease = &l
		s.Source = l.Protocol
		if l.Server.IsValid() {
			s.Source += " from " + l.Server.String()
		}
		if c.IgnorePeerDNS {
			s.Domain = ""
		} else {
			s.DNS = sets.Union(s.DNS, l.DNS)
			s.Search = l.Search
		}
	}
	// As the kernel does with ip= (net/ipv4/ipconfig.c): what follows the first dot of the host
	// name is the domain.
	host, domain, _ := strings.Cut(l.Hostname, ".")
	s.Hostname = host
	if s.Domain == "" {
		s.Domain = strings.TrimSuffix(domain, ".")
	}
	return s
}
