package boot

import (
	"bufio"
	"io"
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
)

// Needs is what the root wants of the network: DHCP's root path, or a way to the
// servers that it is on. What has no server goes to the one of DHCP. firmware are the
// targets of the firmware's table, names are those of /etc/hosts.
func (p Plan) Needs(firmware []iscsi.Target, names map[string][]netip.Addr) netsetup.Needs {
	var n netsetup.Needs
	if p.Chain.Path != "" {
		return n
	}
	if p.Root.NeedsRootPath() {
		n.RootPath = func(rootPath string) error {
			_, err := p.Root.WithRootPath(rootPath)
			return err
		}
	}
	add := func(host, dev string) {
		addrs := names[strings.ToLower(host)]
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

// parseHosts reads hosts(5): the addresses of each name, in lower case. Lines that
// are not of that form are nobody's.
func parseHosts(r io.Reader) (map[string][]netip.Addr, error) {
	names := map[string][]netip.Addr{}
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		a, err := netip.ParseAddr(fields[0])
		if err != nil {
			continue
		}
		for _, name := range fields[1:] {
			name = strings.ToLower(name)
			names[name] = append(names[name], a)
		}
	}
	return names, lines.Err()
}
