package netsetup

import (
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
)

const bridgeFix = "write bridge=br0:eth0 or bridge=br0:eth0,eth1"

// parseBridge reads bridge=name:ports of dracut.cmdline(7); without parameters
// it is br0:eth0.
func (c *Config) parseBridge(a cmdline.Arg, p *problems) {
	value := a.Value
	if value == "" {
		value = "br0:eth0"
	}
	name, ports, ok := strings.Cut(value, ":")
	if !ok || strings.Contains(ports, ":") {
		p.bad(a, "is not name:ports", bridgeFix)
		return
	}
	b := link.Bridge{Name: p.deviceName(a, name), Ports: p.ports(a, ports, bridgeFix)}
	for _, m := range b.Ports {
		if m.InfiniBand() {
			p.bad(a, m.String()+" cannot be a port: InfiniBand has no bridges", "leave it out")
		}
	}
	c.Bridges = append(c.Bridges, b)
}
