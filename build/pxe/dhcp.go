package pxe

import (
	"fmt"
	"net/netip"
	"path"
	"slices"
	"strings"
)

// Where the DHCP servers' files are, below the TFTP directory.
const (
	dnsmasqConf  = "dhcp/dnsmasq.conf"
	dnsmasqHosts = "dhcp/dnsmasq.hosts"
	dhcpdConf    = "dhcp/dhcpd.conf"
	keaConf      = "dhcp/kea-dhcp4.conf"
)

// dhcp writes the files of the DHCP servers.
func (r *renderer) dhcp() {
	for _, f := range []string{r.n.Loader.BIOS, r.n.Loader.UEFI, r.n.Loader.ARM} {
		if f != "" {
			r.tree.Needs = append(r.tree.Needs, f)
		}
	}
	if len(r.n.Subnets) == 0 {
		r.warn("no files for DHCP servers: they need subnets")
		return
	}
	if r.n.infiniBandInterface() {
		r.warn("interface %s is InfiniBand, where ISC dhcpd and Kea hear nobody: put a relay before them, or take "+
			"dnsmasq (docs/infiniband.md)", r.n.Interface)
	}
	r.dnsmasq()
	r.add(dhcpdConf, "ISC dhcpd", []byte(r.dhcpd()))
	r.add(keaConf, "Kea", []byte(r.kea()))
}

// A client is a kind of firmware, and the file it boots.
type client struct {
	kind clientKind
	file string
}

// A clientKind is what firmware says of itself.
type clientKind int

const (
	clientIPXE clientKind = iota + 1 // option 175
	clientUEFI                       // architecture, option 93 (RFC 4578 section 2.1): 7, and 9 as RFC 4578 has it
	clientARM                        // 11 (IANA, Processor Architecture Types)
	clientBIOS                       // none of these
)

// clients are those that something is written for. Who is iPXE already gets
// the script, where there is one.
func (l Loader) clients() []client {
	var all []client
	if l.IPXE != "" {
		all = append(all, client{kind: clientIPXE, file: l.IPXE})
	}
	if l.UEFI != "" {
		all = append(all, client{kind: clientUEFI, file: l.UEFI})
	}
	if l.ARM != "" {
		all = append(all, client{kind: clientARM, file: l.ARM})
	}
	if l.BIOS != "" {
		all = append(all, client{kind: clientBIOS, file: l.BIOS})
	}
	return all
}

// dnsmasq writes a file for conf-file= or conf-dir=, and the reservations in a
// directory of their own for dhcp-hostsdir=, which dnsmasq watches. There is no
// set: in it: dnsmasq 2.90 crashed when it read such lines again.
func (r *renderer) dnsmasq() {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#%s", banner("dnsmasq"))
	if r.n.Interface != "" {
		line("interface=%s", r.n.Interface)
	}
	line("dhcp-authoritative")
	line("dhcp-hostsdir=%s", path.Join(r.n.Folder, dnsmasqHosts))
	for _, s := range r.n.Subnets {
		tag := "net" + hexName(s.Prefix.Addr())
		first, last := s.Prefix.Addr().String(), "static"
		if s.First.IsValid() {
			first, last = s.First.String(), s.Last.String()
		}
		line("dhcp-range=set:%s,%s,%s,%v,%d", tag, first, last, netmask(s.Prefix), int(r.n.Lease.Seconds()))
		if s.Gateway.IsValid() {
			line("dhcp-option=tag:%s,option:router,%v", tag, s.Gateway)
		}
		if len(s.DNS) > 0 {
			line("dhcp-option=tag:%s,option:dns-server,%s", tag, list(s.DNS, ","))
		}
		if s.Domain != "" {
			line("domain=%s,%v", s.Domain, s.Prefix)
		}
	}
	line("enable-tftp")
	line("tftp-root=%s", r.n.Folder)
	line("dhcp-vendorclass=set:pxe,PXEClient")
	line("dhcp-match=set:ipxe,175")
	line("dhcp-match=set:uefi,option:client-arch,7")
	line("dhcp-match=set:uefi,option:client-arch,9")
	line("dhcp-match=set:arm64,option:client-arch,11")
	server := ""
	if r.n.Server.IsValid() {
		server = ",," + r.n.Server.String()
	}
	for _, c := range r.n.Loader.clients() {
		tags := "tag:pxe,"
		if c.kind != clientIPXE && r.n.Loader.IPXE != "" {
			tags += "tag:!ipxe,"
		}
		switch c.kind {
		case clientIPXE:
			tags += "tag:ipxe,"
		case clientUEFI:
			tags += "tag:uefi,"
		case clientARM:
			tags += "tag:arm64,"
		case clientBIOS:
			tags += "tag:!uefi,tag:!arm64,"
		}
		line("dhcp-boot=%s%s%s", tags, c.file, server)
	}
	if server != "" {
		line("dhcp-boot=tag:!pxe,%s", server)
	}
	r.add(dnsmasqConf, "dnsmasq", []byte(b.String()))

	b.Reset()
	line("#%s", banner("dnsmasq"))
	for _, d := range r.n.Nodes {
		words := []string{}
		// dnsmasq takes one id: in a line, and an address in one line only.
		// The MAC beside it stands for the forms "mac" and "none" of InfiniBand, the
		// GUID after its hardware type, which is in hexadecimal, for "infiniband".
		identities := d.identities()
		if i := slices.IndexFunc(identities, func(i identity) bool { return i.id != "" }); i >= 0 {
			words = append(words, "id:"+identities[i].id)
		}
		if i := slices.IndexFunc(identities, func(i identity) bool { return i.guid != "" }); i >= 0 {
			words = append(words, fmt.Sprintf("%02x-%s", typeInfiniBand, identities[i].guid))
		}
		words = append(words, d.mac().String(), d.Name)
		if d.IP.IsValid() {
			words = append(words, d.IP.String())
		}
		line("%s", strings.Join(words, ","))
	}
	r.add(dnsmasqHosts+"/nodes", "dnsmasq's reservations", []byte(b.String()))
}

func list(addrs []netip.Addr, separator string) string {
	var words []string
	for _, a := range addrs {
		words = append(words, a.String())
	}
	return strings.Join(words, separator)
}

// dhcpd writes a file for include. Each identity has a host entry of its own:
// dhcpd gives one fixed address to several.
func (r *renderer) dhcpd() string {
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("#%s", banner("ISC dhcpd"))
	b.WriteString(r.deaf("ISC dhcpd", "#"))
	line("option nodisk-arch code 93 = unsigned integer 16;")
	line("option nodisk-ipxe code 175 = string;")
	// To all: /init takes it for the server of an NFS root that names none.
	if r.n.Server.IsValid() {
		line("next-server %v;", r.n.Server)
	}
	r.dhcpdClass(line)
	for _, s := range r.n.Subnets {
		line("")
		line("subnet %v netmask %v {", s.Prefix.Addr(), netmask(s.Prefix))
		line("  default-lease-time %d;", int(r.n.Lease.Seconds()))
		line("  max-lease-time %d;", int(r.n.Lease.Seconds()))
		if s.First.IsValid() {
			line("  range %v %v;", s.First, s.Last)
		}
		if s.Gateway.IsValid() {
			line("  option routers %v;", s.Gateway)
		}
		if len(s.DNS) > 0 {
			line("  option domain-name-servers %s;", list(s.DNS, ", "))
		}
		if s.Domain != "" {
			line("  option domain-name \"%s\";", s.Domain)
		}
		line("}")
	}
	if len(r.n.Nodes) > 0 {
		line("")
	}
	for _, d := range r.n.Nodes {
		for i, identity := range d.identities() {
			// Names of hosts have no underscore, so these are not another node's.
			name := d.Name
			if i > 0 {
				name += "_" + strings.SplitN(identity.form, ":", 2)[0]
			}
			by := "hardware ethernet " + identity.mac + ";"
			switch {
			case identity.id != "":
				by = "option dhcp-client-identifier " + identity.id + ";"
			case identity.guid != "":
				by = "hardware infiniband " + identity.guid + ";"
			}
			address := ""
			if d.IP.IsValid() {
				address = " fixed-address " + d.IP.String() + ";"
			}
			line("host %s { %s%s option host-name \"%s\"; }", name, by, address, d.Name)
		}
	}
	return b.String()
}

// dhcpdClass names the loader to firmware alone: its vendor class begins with
// PXEClient (RFC 4578 section 2.4; iPXE sends it too). The system that it boots,
// and other machines of the network, get no file.
func (r *renderer) dhcpdClass(line func(format string, args ...any)) {
	line("class \"nodisk-pxe\" {")
	line("  match if substring(option vendor-class-identifier, 0, 9) = \"PXEClient\";")
	for i, c := range r.n.Loader.clients() {
		test := ""
		switch c.kind {
		case clientIPXE:
			test = "exists nodisk-ipxe"
		case clientUEFI:
			test = "option nodisk-arch = 00:07 or option nodisk-arch = 00:09"
		case clientARM:
			test = "option nodisk-arch = 00:0b"
		case clientBIOS:
			test = "not (option nodisk-arch = 00:07 or option nodisk-arch = 00:09 or option nodisk-arch = 00:0b)"
		}
		word := "if"
		if i > 0 {
			word = "elsif"
		}
		line("  %s %s { filename \"%s\"; }", word, test, c.file)
	}
	line("}")
}
