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

// ethernet is an interface with carrier as soon as it is up.
func ethernet(index int, name string, mac link.HardwareAddr) link.Device {
	return link.Device{Index: index, Name: name, Type: link.HwEthernet, Addr: mac, MTU: 1500, Physical: true, Carrier: true, Driver: "virtio_net"}
}

func noCarrier(d link.Device) link.Device {
	d.Carrier = false
	return d
}

// guideAddr is the port of the FlexBoot guide's example as an IPoIB address.
const guideAddr = link.HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")

func guidePort() link.Device {
	return link.Device{
		Index: 5, Name: "ib0", Type: link.HwInfiniBand, Addr: guideAddr, MTU: 2044, Physical: true, Driver: "mlx4_core", HCA: "mlx4_0", Port: 1,
		Broadcast: "\x00\xff\xff\xff\xff\x12\x40\x1b\xff\xff\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
	}
}

// inSlot is a card as QEMU has it: in a slot on bus 0.
func inSlot(d link.Device, slot string) link.Device {
	d.Udev = link.UdevNames{Slot: "ens" + slot, Path: "enp0s" + slot, MAC: "enx" + strings.ReplaceAll(d.Addr.String(), ":", "")}
	return d
}
