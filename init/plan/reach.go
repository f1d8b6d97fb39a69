package plan

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
)

// unreachable says why the network of the command line cannot lead to its root,
// whatever the servers say.
func (p Plan) unreachable() []error {
	if !p.Root.NeedsNetwork() {
		return nil
	}
	var words []string
	for _, n := range p.Network.Interfaces {
		words = append(words, n.String())
	}
	bad := func(problem, fix string) []error {
		return []error{&cmdline.ValueError{Key: "ip", Value: strings.Join(words, " ip="), Problem: problem, Fix: fix}}
	}
	server := func(what string) []error {
		return bad(
			"names no server, and neither does "+what+": a static address asks nobody",
			"name it there, or in the second field of ip=",
		)
	}
	noHost := func(t iscsi.Target) bool { return t.Portal.Host == "" }
	switch n := p.Network; {
	case n.Off:
		words = []string{"off"}
		return bad("leaves the root ("+p.Root.String()+") out of reach", "write ip=dhcp or leave it out")
	case !n.Addressed():
		return bad(
			"gives no interface an address, and the root ("+p.Root.String()+") is behind the network",
			"write ip=dhcp, or a client address",
		)
	case p.Root.NeedsRootPath() && !n.Asks():
		return bad(
			"asks no server for a root path (DHCP option 17), which the root is to be",
			"name the root on the command line, or write ip=dhcp",
		)
	case n.Asks() || n.BootServer():
	case p.Root.Kind == rootfs.KindNFS && p.Root.NFS.Server == "":
		return server("the root (" + p.Root.NFS.Path + ")")
	case slices.ContainsFunc(p.Targets, noHost):
		return server("a target")
	}
	return nil
}

// astray warns about a server of the root that the network of the command line does not lead to.
// It may still be reached: the kernel makes IPv6 addresses by itself where a router announces
// itself, and a link may have a router that nobody named.
func (p Plan) astray() []string { return p.without(p.leads) }

// leads is empty unless the root's server is an address that the network of the
// command line does not lead to: then it says so.
func (p Plan) leads(server string) string {
	a, err := netip.ParseAddr(server)
	if err != nil {
		return ""
	}
	return p.leadsTo("the root's server", a)
}

// leadsTo is empty if the network of the command line leads to one of several
// addresses, else it says why not to the first, which is that of what.
func (p Plan) leadsTo(what string, addrs ...netip.Addr) string {
	if slices.ContainsFunc(addrs, func(a netip.Addr) bool { return p.Network.Leads(netsetup.Host{Addr: a}) }) {
		return ""
	}
	a := addrs[0]
	switch {
	case p.Network.Family(netsetup.Host{Addr: a}):
		return fmt.Sprintf("ip: nothing leads to %s %v: write the gateway in the third field, or rd.route=", what, a)
	case a.Unmap().Is6():
		return fmt.Sprintf("ip: %s %v has an address of IPv6, and no ip= is about IPv6: add ip=DEVICE:auto6", what, a)
	default:
		return fmt.Sprintf("ip: %s %v has an address of IPv4, and no ip= is about IPv4: add ip=DEVICE:dhcp", what, a)
	}
}

// idle is the key about the network where the root is on a disk and nothing names one behind the
// network; empty if there is none, or the network is wanted besides. pxelinux adds BOOTIF= and
// ip= only when it is told to.
func (p Plan) idle(args cmdline.Args) string {
	if p.NeedNetwork || p.Network.Off || p.Root.Kind != rootfs.KindBlock {
		return ""
	}
	table := keyTable(Keys())
	for _, a := range args {
		if k, ok := table.lookup(a.Key); ok && k.Network {
			return a.Key
		}
	}
	return ""
}

// OnlyLocally says where the root must be for the boot to succeed, where the command
// line speaks of a network and names nothing behind it; else it is empty.
func (p Plan) OnlyLocally(args cmdline.Args) string {
	own, _ := keyTable(Keys()).translate(args)
	if p.idle(own) == "" {
		return ""
	}
	return onItsOwnDisks(p.Root)
}

func onItsOwnDisks(r rootfs.Root) string {
	return "the root (" + r.Block.String() + ") is looked for on the node's own disks"
}
