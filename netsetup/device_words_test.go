package netsetup

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// What cannot be two names of one card is told before there is any.
func TestConfigApart(t *testing.T) {
	c := parseLine(t, "ifname=lan0:52:54:00:12:34:56 bond=bond0:eth*")
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"eth0", "eth1", true},
		{"eth0", "ens3", false},
		{"eth0", "wan", false},
		{"eth0", "lan0", false},
		{"ens3", "enp0s3", false},
		{"ens3", "ens4", true},
		{"enP1s3", "enP2s3", true},
		{"enp0s3", "enp0s4", true},
		{"enP1p65s0", "enp65s0", true},
		{"eno1", "end0", true},
		{"enx525400123456", "enx525400123457", true},
		{"52-54-00-12-34-56", "52-54-00-12-34-57", true},
		{"52-54-00-12-34-56", "eth0", false},
		{"52-54-00-12-34-56", "02:50:49:03:00:77:03:0a", false},
		{"bond0", "eth0", true},
		{"bond0", "bond0", false},
		{"en*", "eth0", false},
		{"driver=x", "eth0", false},
	} {
		if got := c.apart(link.DeviceMatch(tt.a), link.DeviceMatch(tt.b), nil); got != tt.want {
			t.Errorf("%s and %s: %v", tt.a, tt.b, got)
		}
		if got := c.apart(link.DeviceMatch(tt.b), link.DeviceMatch(tt.a), nil); got != tt.want {
			t.Errorf("%s and %s: %v", tt.b, tt.a, got)
		}
	}
	if !c.apart(link.DeviceMatch("ens3"), link.DeviceMatch("enp0s9"), []string{"ens3"}) {
		t.Error("enp0s9 may be ens3, of which all names are known")
	}
}

// The words are written as they were read.
func TestParseDescriptions(t *testing.T) {
	for line, want := range map[string]Addressing{
		"ip=en*:dhcp":                       {Device: "en*", Method: lease.MethodDHCP},
		"ip=driver=mlx5?core:dhcp:9000":     {Driver: "mlx5?core", Method: lease.MethodDHCP, MTU: 9000},
		"ip=10.0.0.5:::24::driver=x:static": {Driver: "x", Method: lease.MethodStatic, Address: prefix("10.0.0.5/24")},
	} {
		c := parseLine(t, line)
		if diff := cmp.Diff([]Addressing{want}, c.Interfaces, byValue()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
		if got := "ip=" + c.Interfaces[0].String(); got != line {
			t.Errorf("%s is written %s", line, got)
		}
	}
}
