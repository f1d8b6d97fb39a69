package netsetup

import (
	"strings"
	"testing"
)

func TestUnlikely(t *testing.T) {
	for _, tt := range []struct {
		line, name, want string
		never            bool
	}{
		{"", "", "", false},
		{"", "eth0", "", false},
		{"", "ens3f0np0", "", false},
		{"", "en*", "", false},
		{"ifname=lan0:52:54:00:12:34:56", "lan0", "", false},
		{"vlan=ens3.5:ens3 ip=ens3.5:dhcp", "ens3.5", "", false},
		{"", "eth0.5", "no vlan= makes it: add vlan=eth0.5:eth0", true},
		{"", "enp0s3.0005", "no vlan= makes it: add vlan=enp0s3.0005:enp0s3", true},
		{"", "vlan5", "no vlan= makes it: add vlan=vlan5:DEVICE", true},
		{"", "ib0.8001", "no ib.pkey= makes it: add ib.pkey=ib0.8001", true},
		{"", "bond0", "no bond= makes it: add bond=bond0:PORTS", true},
		{"", "br0", "no bridge= makes it: add bridge=br0:PORTS", true},
		{"vlan=vlan5:eth0 bond=bond1:eth1 ip=vlan5:dhcp", "vlan6", "the command line makes bond1, vlan5: write one of them, or add vlan=vlan6:DEVICE", true},
		{"bond=bond0:ib0.8001,ib1.8001:mode=1 ip=bond0:dhcp", "ib0.8001", "no ib.pkey= makes it: add ib.pkey=ib0.8001", true},
		{"bond=bond0:eth0.5 bond=bond1:eth1 vlan=vlan7:bond0 ip=vlan7:dhcp", "eth0.5", "the command line makes bond1: write one of them, or add vlan=eth0.5:eth0", true},
		{"", "ENP0S3", "names of the kernel and of udev are in lower case: write enp0s3", false},
		{"", "storage0", "neither the kernel (eth0, ib0) nor udev", false},
		{"", "sw.p1", "neither the kernel (eth0, ib0) nor udev", false},
	} {
		got, never := parseLine(t, tt.line).Unlikely(tt.name)
		if !strings.HasPrefix(got, tt.want) || (got == "") != (tt.want == "") || never != tt.never {
			t.Errorf("%s of %q: %q, %v", tt.name, tt.line, got, never)
		}
	}
}
