package plan

import (
	"fmt"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
)

// Client is what NFS and iSCSI need to know about a node with that network: its name, its
// address, and the boot server. That is the one of ip=, else DHCP's next-server (siaddr), else
// whoever gave the lease.
func Client(net netsetup.State) rootfs.Client {
	c := rootfs.Client{Hostname: net.Hostname, Server: net.Server}
	if len(net.Addrs) > 0 {
		c.Addr = net.Addrs[0].Addr()
	}
	if l := net.Lease; l != nil && !c.Server.IsValid() {
		c.Server = l.NextServer
		if !c.Server.IsValid() || c.Server.IsUnspecified() {
			c.Server = l.Server
		}
	}
	return c
}

// RootBy is the root that the plan has with that network: a lease may name it. The
// error says what is wrong with the lease's root path.
func (p Plan) RootBy(net netsetup.State) (rootfs.Root, error) {
	rootPath := ""
	if net.Lease != nil {
		rootPath = net.Lease.RootPath
	}
	root, err := p.Root.WithRootPath(rootPath)
	if err != nil {
		return root, fmt.Errorf("%v is up, but %w", net, err)
	}
	return root, nil
}

// TargetsBy are the targets to attach for a root of RootBy, but those of the firmware's
// table: with the boot server where none is named, and their interfaces by the
// names that these have. The warnings are about DHCP's root path.
func (p Plan) TargetsBy(root rootfs.Root, net netsetup.State) (targets []iscsi.Target, warnings []string) {
	named := p.Targets
	if len(named) == 0 {
		named, _ = root.Targets() // DHCP's: RootBy has refused what cannot be attached
		for _, t := range named {
			for _, w := range t.Warnings {
				warnings = append(warnings, rootfs.RootPathKey+": "+w)
			}
		}
	}
	server := Client(net).Server
	for _, t := range named {
		if t.Portal.Host == "" && server.IsValid() {
			t.Portal.Host = server.String()
		}
		t.NetDev = net.Called(t.NetDev)
		targets = append(targets, t)
	}
	return targets, warnings
}
