package netsetup

import (
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A Bridge is one bridge=name:ports. It forwards at once: without spanning tree
// and without forward delay. Its address is that of the port which made it, for
// good: it is what a DHCP server knows the node by, and the kernel would choose
// another one when a port joins.
type Bridge struct {
	Name  string
	Ports []PortMatch
}

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
	b := Bridge{Name: p.deviceName(a, name), Ports: p.ports(a, ports, bridgeFix)}
	for _, m := range b.Ports {
		if m.infiniBand() {
			p.bad(a, m.String()+" cannot be a port: InfiniBand has no bridges", "leave it out")
		}
	}
	c.Bridges = append(c.Bridges, b)
}
