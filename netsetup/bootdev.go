package netsetup

import (
	"slices"

	"github.com/nodisk/nodisk/init/cmdline"
)

// parseBootDev reads bootdev=: a name, an address, or BOOTIF, which decides anyway.
func (c *Config) parseBootDev(a cmdline.Arg, p *problems) {
	switch _, err := parseAddress(a.Value); {
	case a.Value == bootIFWord:
	case err == nil && !validDeviceName(a.Value):
		p.bootAddr = p.bootIF(a)
	default:
		c.BootDev = p.deviceName(a, a.Value)
	}
}

// bootAddress is what a bootdev= with an address means. To the ip= words that leave the
// interface open it is what BOOTIF= is; one that names its interface is to be named
// again as it is there.
func (c *Config) bootAddress(p *problems) {
	switch {
	case p.bootAddr == "":
	case c.BootIF != "" && c.BootIF != p.bootAddr:
		p.add("bootdev", p.bootAddr.String(), "is another interface than that of BOOTIF=", "leave one of them out")
	case c.BootDev != "":
		p.add("bootdev", p.bootAddr.String(), "is there with a name, too", "leave one of them out")
	case slices.ContainsFunc(c.Interfaces, Interface.named):
		p.add("bootdev", p.bootAddr.String(), "is an address, and an ip= names its interface", "write the name that is in ip=")
	default:
		c.BootIF = p.bootAddr
	}
}
