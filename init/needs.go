package boot

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
)

// Needs is what the root wants of the network: DHCP's root path, or a way to the
// servers that it is on. What has no server goes to the one of DHCP. firmware are the
// targets of the firmware's table, names what the image knows of names.
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
	add := func(host, dev string) {
		addrs := names.Hosts[strings.ToLower(host)]
		if a, err := netip.ParseAddr(host); err == nil {
			addrs = []netip.Addr{a}
		}
		if host != "" && len(addrs) == 0 {
			addrs = []netip.Addr{{}} // by its name alone
		}
		for _, a := range addrs {
			if h := (netsetup.Host{Addr: a, Name: host, Dev: dev}); !slices.Contains(n.Hosts, h) {
				n.Hosts = append(n.Hosts, h)
			}
		}
	}
	for _, t := range slices.Concat(p.Targets, firmware) {
		add(t.Portal.Host, t.NetDev)
	}
	if p.Root.Kind == rootfs.KindNFS {
		add(p.Root.NFS.Server, "")
	}
	return n
}
