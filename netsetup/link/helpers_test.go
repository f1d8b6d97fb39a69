package link

import (
	"net/netip"
)

func prefix(s string) netip.Prefix { return netip.MustParsePrefix(s) }

const (
	macA = HardwareAddr("\x52\x54\x00\x12\x34\x56")
	macB = HardwareAddr("\x52\x54\x00\x12\x34\x57")
)

// ethernet is an interface of macA with carrier as soon as it is up.
func ethernet(index int, name string) Device {
	return Device{Index: index, Name: name, Type: HwEthernet, Addr: macA, MTU: 1500, Physical: true, Carrier: true, Driver: "virtio_net"}
}

func secondPort() Device {
	d := guidePort()
	d.Index, d.Name, d.Addr, d.Port = 6, "ib1", guideAddr[:19]+"\x3a", 2
	return d
}

// guideAddr is the port of the FlexBoot guide's example as an IPoIB address.
const guideAddr = HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")

func guidePort() Device {
	return Device{
		Index: 5, Name: "ib0", Type: HwInfiniBand, Addr: guideAddr, MTU: 2044, Physical: true, Driver: "mlx4_core", HCA: "mlx4_0", Port: 1,
		Broadcast: "\x00\xff\xff\xff\xff\x12\x40\x1b\xff\xff\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
	}
}

// A virtual function's port before its host has set it up.
func zeroPort() Device {
	d := guidePort()
	d.Addr, d.Driver, d.HCA = guideAddr[:12]+"\x00\x00\x00\x00\x00\x00\x00\x00", "mlx5_core", "mlx5_2"
	return d
}

var (
	linkAddr6   = netip.MustParsePrefix("fe80::5054:ff:fe12:3456/64")
	autoAddr6   = netip.MustParsePrefix("2001:db8:1:0:5054:ff:fe12:3456/64")
	leaseAddr6  = netip.MustParsePrefix("2001:db8:1::777/128")
	router6     = netip.MustParseAddr("fe80::1")
	nameserver6 = netip.MustParseAddr("2001:db8:1::53")
)
