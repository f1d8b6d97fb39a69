package netsetup

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

func TestParseNaming(t *testing.T) {
	for line, want := range map[string]bool{
		"": false, "net.ifnames=0": true, "net.ifnames=0 net.ifnames=1": false, "net.ifnames=perhaps": false, "net.ifnames": false,
		"nodisk.ifnames=kernel": true, "nodisk.ifnames=kernel net.ifnames=1": true, "net.ifnames=0 nodisk.ifnames=udev": false,
	} {
		if got := parseLine(t, line).KernelNames; got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
	checkErrors(t, map[string][]string{"nodisk.ifnames=mac": {"does not say whose names interfaces have; write kernel, udev, usb-mac or usb-path"}})
	if c := parseLine(t, "net.naming-scheme=v252"); c.NamingScheme != "v252" {
		t.Errorf("scheme %q", c.NamingScheme)
	}
}

// What has no effect beside other words is said.
func TestUnheeded(t *testing.T) {
	for line, want := range map[string]string{
		"nodisk.ifnames=udev ip=eth0:dhcp":                       "nodisk.ifnames=udev: without effect, eth0 is a name of the kernel's, and so all interfaces keep those: write udev's name, or the address",
		"ip=eth*:dhcp nodisk.ifnames=usb-mac":                    "nodisk.ifnames=usb-mac: without effect, eth* is",
		"nodisk.ifnames=kernel ip=eth0:dhcp":                     "",
		"nodisk.ifnames=udev ip=ens3:dhcp":                       "",
		"bootdev=BOOTIF ip=dhcp":                                 "bootdev=BOOTIF: without effect, BOOTIF= is not there or not used",
		"bootdev=BOOTIF BOOTIF=01-52-54-00-12-34-57":             "",
		"bootdev=BOOTIF rd.bootif=0 BOOTIF=01-52-54-00-12-34-57": "bootdev=BOOTIF: without effect",
	} {
		if got := strings.Join(parseLine(t, line).Warnings(), "\n"); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s: %q", line, got)
		}
	}
}

// Every word that holds the name of a card, and those that hold another.
func TestConfigCards(t *testing.T) {
	for line, want := range map[string][]string{
		"ip=a:dhcp bootdev=a rd.route=10.9.0.0/16:10.0.0.1:a":            {"a"},
		"bond=bond0:b,c*,driver=x,52-54-00-12-34-56:mode=1,primary=b":    {"b", "c*"},
		"bond=bond0:b,d:mode=1,active_slave=d ip=bond0:dhcp":             {"b", "d"},
		"bridge=br0:e,vlan5 vlan=vlan5:f ip=br0:dhcp":                    {"f", "e"},
		"ib.pkey=ib0.8001 ip=ib0.8001:dhcp":                              {"ib0"},
		"ifname=lan0:52:54:00:12:34:56 bridge=br0:lan0 ip=br0:dhcp":      nil,
		"ip=dhcp BOOTIF=01-52-54-00-12-34-56 ifname=x:52:54:00:12:34:57": nil,
	} {
		c := parseLine(t, line)
		if diff := cmp.Diff(want, c.cards()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
		got := c.mapNames(func(name string) string {
			if slices.Contains(want, name) {
				return "other"
			}
			return name
		})
		if names := got.cards(); len(want) > 0 && !slices.Equal(names, []string{"other"}) {
			t.Errorf("%s: not all are replaced: %q", line, names)
		}
		if !reflect.DeepEqual(parseLine(t, line), c) {
			t.Errorf("%s is changed: %+v", line, c)
		}
	}
	for line, want := range map[string]bool{
		"ip=eth0:dhcp": true, "bond=bond0:eth*": true, "bond=bond0:en*": false, "bond=bond0:e*": false, "bond=bond0:*": false, "bond=bond0:ib?:mode=1": false,
		"ip=?th0:dhcp": true, "ip=*th0:dhcp": true, "ip=e*t?:dhcp": true, "ip=??0:dhcp": false, "ip=*0:dhcp": false, "ip=?n*:dhcp": false,
		"ip=enp0s3:dhcp": false, "ip=lan0:dhcp": true, "vlan=ens3.5:ens3": false, "": false, "bond": true,
	} {
		if got := parseLine(t, line).KeepsKernelNames(); got != want {
			t.Errorf("%s: %v", line, got)
		}
	}
}

// The word for a card that nobody knows tells what the cards that are there are
// known by.
func TestAbsentUdevName(t *testing.T) {
	c := parseLine(t, "ip=enp0s9:dhcp")
	got := c.Absent(c.Interfaces[0], []link.Device{inSlot(linktest.Ethernet(2, "ens3", macA), "3")}, false)
	const want = "enp0s9: no such interface (present: ens3 (enp0s3, enx525400123456) 52:54:00:12:34:56): check that its driver is in the image, and the name, which is one of udev's: " +
		"eno1 or end0 by a number on the board, ens3 by the slot, enp0s3 by the place on the bus, enx525400123456 by the address"
	if got != want {
		t.Error(got)
	}
}
