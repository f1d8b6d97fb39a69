package plan

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
)

// Needs is what the root needs from the network: DHCP's root path, or a route to the servers that
// it is on. What has no server goes to the one of DHCP. firmware are the targets of the
// firmware's table, names what the image knows of names.
func (p Plan) Needs(firmware []iscsi.Target, names Names) netsetup.Needs {
	if p.Chain.Path != "" {
		return netsetup.Needs{}
	}
	n := netsetup.Needs{Nameservers: names.Servers}
	if p.Root.NeedsRootPath() {
		n.RootPath = func(rootPath string) error {
			_, err := p.Root.WithRootPath(rootPath)
			return err
		}
	}
	n.Hosts = hostsOf(p.Root, slices.Concat(p.Targets, firmware), netip.Addr{}, names)
	n.ByLease = func(net netsetup.State) []netsetup.Host { return p.Servers(net, names) }
	return n
}

// Servers are those of the root with that network, but those of the firmware's table;
// none if the lease's root path is of no use.
func (p Plan) Servers(net netsetup.State, names Names) []netsetup.Host {
	root, err := p.RootBy(net)
	if err != nil {
		return nil
	}
	targets, _ := p.TargetsBy(root, net)
	return hostsOf(root, targets, Client(net).Server, names)
}

// hostsOf are the servers of a root and its targets; server is the one of an export that
// names none, invalid if it is not known.
func hostsOf(root rootfs.Root, targets []iscsi.Target, server netip.Addr, names Names) []netsetup.Host {
	var hosts []netsetup.Host
	add := func(host, dev string) {
		addrs := names.Hosts[strings.ToLower(host)]
		if a, err := netip.ParseAddr(host); err == nil {
			addrs = []netip.Addr{a}
		}
		if host != "" && len(addrs) == 0 {
			addrs = []netip.Addr{{}} // by its name alone
		}
		for _, a := range addrs {
			if h := (netsetup.Host{Addr: a, Name: host, Dev: dev}); !slices.Contains(hosts, h) {
				hosts = append(hosts, h)
			}
		}
	}
	for _, t := range targets {
		add(t.Portal.Host, t.NetDev)
	}
	switch {
	case root.Kind != rootfs.KindNFS || root.NeedsRootPath():
	case root.NFS.Server != "":
		add(root.NFS.Server, "")
	case server.IsValid():
		add(server.String(), "")
	}
	return hosts
}
