package plan

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/linescan"
	"github.com/nodisk/nodisk/iscsi"
)

// Names are what an image knows about names of hosts.
type Names struct {
	Hosts   map[string][]netip.Addr // of etc/hosts; see hosts(5). Names are in lower case
	Servers []netip.Addr            // name servers of etc/resolv.conf; see resolv.conf(5)
}

// Files that [ReadNames] reads, below the root.
const (
	HostsFile      = "etc/hosts"
	ResolvConfFile = "etc/resolv.conf"
)

// ReadNames reads the files of an image, given by its root directory. What is not there
// is empty.
func ReadNames(image fs.FS) (Names, error) {
	var n Names
	read := func(name string, parse func(io.Reader) error) error {
		f, err := image.Open(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			err = errors.Join(parse(f), f.Close())
		}
		if err != nil {
			return fmt.Errorf("read /%s: %w", name, err)
		}
		return nil
	}
	err := read(HostsFile, func(r io.Reader) (err error) { n.Hosts, err = parseHosts(r); return err })
	return n, errors.Join(
		err,
		read(ResolvConfFile, func(r io.Reader) (err error) { n.Servers, err = parseResolvConf(r); return err }),
	)
}

// parseHosts reads hosts(5): the addresses of each name, in lower case. Lines that
// are not of that form are ignored.
func parseHosts(r io.Reader) (map[string][]netip.Addr, error) {
	names := map[string][]netip.Addr{}
	file := linescan.New(r, linescan.Longest)
	for file.Scan() {
		text, _, _ := strings.Cut(file.Text(), "#")
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
	return names, file.Err()
}

// parseResolvConf reads the name servers of resolv.conf(5). Lines that are not of that
// form are ignored.
func parseResolvConf(r io.Reader) ([]netip.Addr, error) {
	var servers []netip.Addr
	file := linescan.New(r, linescan.Longest)
	for file.Scan() {
		fields := strings.Fields(file.Text())
		if len(fields) < 2 || fields[0] != "nameserver" {
			continue
		}
		if a, err := netip.ParseAddr(fields[1]); err == nil {
			servers = append(servers, a)
		}
	}
	return servers, file.Err()
}

// Unresolved warns of a server of the root that the network of the command line does
// not lead to by its name: nothing knows its address.
func (p Plan) Unresolved(n Names) []string {
	if p.Chain.Path != "" || p.Network.Off {
		return nil
	}
	return p.without(func(server string) string { return p.resolves(server, n) })
}

// resolves is empty unless the server is a name of which nothing says the address.
func (p Plan) resolves(server string, n Names) string {
	if _, err := netip.ParseAddr(server); server == "" || err == nil || strings.EqualFold(server, "localhost") {
		return ""
	}
	if addrs := n.Hosts[strings.ToLower(server)]; len(addrs) > 0 {
		return p.leadsTo("the root's server "+server+",", addrs...)
	}
	servers, told := p.Network.NameServers()
	if len(servers) == 0 {
		servers = n.Servers // which stays where nothing else is known
	}
	const fix = ": write nameserver= or its address, or put it into /etc/hosts of the image"
	switch {
	case told:
		return ""
	case len(servers) > 0:
		return p.leadsTo("the name server that is to know the root's server "+server+",", servers...)
	case p.Network.Asks():
		return "nothing resolves the root's server " + server + ", because rd.peerdns=0 leaves the name servers " +
			"of DHCP out" + fix
	}
	return "nothing resolves the root's server " + server + fix
}

// without says what is wrong with the servers of the root; of the portals of a target
// one that is right is enough.
func (p Plan) without(wrong func(server string) string) []string {
	servers := []string{p.Root.NFS.Server}
	for _, t := range iscsi.GroupByName(p.Targets, false) {
		right := func(portal iscsi.Target) bool { return wrong(portal.Portal.Host) == "" }
		if !slices.ContainsFunc(t.Portals, right) {
			servers = append(servers, t.Portals[0].Portal.Host)
		}
	}
	var warnings []string
	for _, server := range servers {
		if why := wrong(server); why != "" && !slices.Contains(warnings, why) {
			warnings = append(warnings, why)
		}
	}
	return warnings
}
