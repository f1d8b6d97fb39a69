package netsetup

import "testing"

// An address in bootdev= is that of BOOTIF= where no ip= names an interface.
func TestBootDevAddress(t *testing.T) {
	for _, line := range []string{
		"bootdev=52:54:00:12:34:57", "ip=dhcp bootdev=52-54-00-12-34-57", "bootdev=52:54:00:12:34:57 BOOTIF=01-52-54-00-12-34-57",
	} {
		if c := parseLine(t, line); c.BootIF != macB || c.BootDev != "" {
			t.Errorf("%s: %v, %q", line, c.BootIF, c.BootDev)
		}
	}
	checkErrors(t, map[string][]string{
		"bootdev=52:54:00:12:34:57 BOOTIF=01-52-54-00-12-34-56": {"is another interface than that of BOOTIF="},
		"bootdev=52:54:00:12:34:57 ip=eth0:dhcp":                {"is an address, and an ip= names its interface; write the name that is in ip="},
		"bootdev=52:54:00:12:34:57 bootdev=eth0 ip=eth0:dhcp":   {"is there with a name, too"},
		"bootdev=53:54:00:12:34:57":                             {"is not the address of an interface but of a group"},
		"bootdev=52:54:00:12:34:zz":                             {"is not an interface name"},
	})
}
