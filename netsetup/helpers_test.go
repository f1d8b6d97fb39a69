package netsetup

import (
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
)

func wantsHosts(addrs ...string) Needs {
	var n Needs
	for _, a := range addrs {
		n.Hosts = append(n.Hosts, Host{Addr: addr(a)})
	}
	return n
}

func byValue() cmp.Option {
	return cmpopts.EquateComparable(netip.Addr{}, netip.Prefix{})
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

const (
	macA = link.HardwareAddr("\x52\x54\x00\x12\x34\x56")
	macB = link.HardwareAddr("\x52\x54\x00\x12\x34\x57")
)

func parseLine(t *testing.T, line string) Config {
	t.Helper()
	c, err := ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// inSlot is a card as QEMU has it: in a slot on bus 0.
func inSlot(d link.Device, slot string) link.Device {
	d.Udev = link.UdevNames{Slot: "ens" + slot, Path: "enp0s" + slot, MAC: "enx" + strings.ReplaceAll(d.Addr.String(), ":", "")}
	return d
}
