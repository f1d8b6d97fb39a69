package netsetup

import (
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
)

const vlanFix = "write vlan=vlan5:eth0 or vlan=eth0.5:eth0, where the name ends in the id, or vlan=name:eth0:5"

// parseVLAN reads vlan=name:parent, where the name is one of the four kinds of dracut.cmdline(7):
// vlan0005, vlan5, eth0.0005 and eth0.5. With :id after it the name is free.
func (c *Config) parseVLAN(a cmdline.Arg, p *problems) {
	f := strings.Split(a.Value, ":")
	if len(f) < 2 || len(f) > 3 {
		p.bad(a, "is not name:parent or name:parent:id", vlanFix)
		return
	}
	parent, perr := p.portMatch(a, f[1])
	digits := f[len(f)-1]
	if len(f) == 2 {
		digits = vlanDigits(f[0])
	}
	id, err := strconv.Atoi(digits)
	switch {
	case link.ErrNewName(f[0]) != nil:
		p.bad(a, strconv.Quote(f[0])+" "+link.ErrNewName(f[0]).Error(), vlanFix)
	case perr != nil && link.ResemblesAddress(f[1]):
		p.bad(a, strconv.Quote(f[1])+" "+perr.Error(), addressFix)
	case perr != nil:
		p.bad(a, strconv.Quote(f[1])+" is not one interface", vlanFix)
	case digits == "":
		p.bad(a, "does not tell the id: "+f[0]+" ends in none", vlanFix)
	case err != nil || !link.IsDigits(digits) || id < 1 || id > 4094:
		// 0 is priority only and 4095 reserved (IEEE 802.1Q).
		p.bad(a, "id "+digits+" is not a number from 1 to 4094", vlanFix)
	default:
		c.VLANs = append(c.VLANs, link.VLAN{Name: f[0], Parent: parent, ID: id})
	}
}

// vlanDigits returns the id that the name gives: what follows vlan or the last dot, empty if that
// is not a number.
func vlanDigits(name string) string {
	digits, ok := strings.CutPrefix(name, "vlan")
	if !ok || !link.IsDigits(digits) {
		digits = name[strings.LastIndexByte(name, '.')+1:]
	}
	if !link.IsDigits(digits) || digits == name {
		return ""
	}
	return digits
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
	b := link.Bridge{Name: p.deviceName(a, name), Ports: p.ports(a, ports, bridgeFix)}
	for _, m := range b.Ports {
		if m.InfiniBand() {
			p.bad(a, m.String()+" cannot be a port: InfiniBand has no bridges", "leave it out")
		}
	}
	c.Bridges = append(c.Bridges, b)
}
