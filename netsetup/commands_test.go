package netsetup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The commands of a command line are those of a node that has what it speaks of.
func TestCommands(t *testing.T) {
	for line, want := range map[string]string{
		"":             "ip link set lo up; ip link set eth0 up",
		"ip=dhcp":      "ip link set lo up; ip link set eth0 up",
		"ip=ens3:dhcp": "ip link set lo up; ip link set ens3 up",
		"ip=10.0.0.2::10.0.0.1:24::eth1:none": "ip link set lo up; ip link set eth1 up; ip addr add 10.0.0.2/24 brd + dev eth1; " +
			"ip route replace default via 10.0.0.1 dev eth1",
		"ip=10.0.0.2:::24::eth1:none ip=[2001:db8::5]::[fe80::1]:64::eth1:none": "ip link set lo up; ip link set eth1 up; " +
			"ip addr add 10.0.0.2/24 brd + dev eth1; ip addr add 2001:db8::5/64 dev eth1; ip route replace default via fe80::1 dev eth1 metric 100",
		"ip=br0:dhcp bridge=br0:eth0": "ip link set lo up; ip link set eth0 up; " +
			"ip link add br0 address $(cat /sys/class/net/eth0/address) type bridge stp_state 0 forward_delay 0; " +
			"ip link set eth0 master br0; ip link set br0 up",
		// An address that the command line gives is that.
		"bridge=br0:eth0,eth1 ip=br0:dhcp ip=eth2:dhcp:1400:02-00-00-00-00-03": "ip link set lo up; ip link set eth0 up; " +
			"ip link add br0 address $(cat /sys/class/net/eth0/address) type bridge stp_state 0 forward_delay 0; " +
			"ip link set eth0 master br0; ip link set eth1 up; ip link set eth1 master br0; ip link set br0 up; " +
			"ip link set eth2 address 02:00:00:00:00:03; ip link set eth2 mtu 1400; ip link set eth2 up",
		"ip=vlan5:dhcp vlan=vlan5:eth0": "ip link set lo up; ip link set eth0 up; ip link add link eth0 name vlan5 type vlan id 5; ip link set vlan5 up",
	} {
		got, err := parseLine(t, line).Commands()
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if diff := cmp.Diff(want, strings.Join(got, "; ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
	// Whatever a word names is there.
	for _, line := range []string{
		"ip=bond0:dhcp bond=bond0:eth0,eth1:mode=active-backup", "ip=br0:dhcp bridge=br0:eth0,eth1", "ip=ib0.8001:dhcp ib.pkey=ib0.8001",
		"ip=lan0:dhcp ifname=lan0:52:54:00:12:34:56", "ip=52-54-00-12-34-56:dhcp", "ip=BOOTIF:dhcp BOOTIF=01-52-54-00-12-34-56",
		"ip=eth*:dhcp", "ip=eth0:dhcp ip=eth1:dhcp bootdev=eth0", "ip=00-02-c9-03-00-0a-6d-5f:dhcp", "ip=ib0:dhcp nodisk.ib.mode=connected",
	} {
		c := parseLine(t, line)
		if got, err := c.Commands(); err != nil {
			t.Errorf("%s: %v after %q", line, err, got)
		}
	}
}
