package linktest

import (
	"github.com/nodisk/nodisk/netsetup/link"
)

// Ethernet is an interface with carrier as soon as it is up.
func Ethernet(index int, name string, mac link.HardwareAddr) link.Device {
	return link.Device{
		Index:    index,
		Name:     name,
		Type:     link.HwEthernet,
		Addr:     mac,
		MTU:      1500,
		Physical: true,
		Carrier:  true,
		Driver:   "virtio_net",
	}
}

// NoCarrier is the device with its cable pulled out.
func NoCarrier(d link.Device) link.Device {
	d.Carrier = false
	return d
}

// GuideAddr is the port of the FlexBoot guide's example as an IPoIB address.
const GuideAddr = link.HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")

// GuidePort is an IPoIB interface of that port, without carrier.
func GuidePort() link.Device {
	return link.Device{
		Index: 5, Name: "ib0", Type: link.HwInfiniBand, Addr: GuideAddr, MTU: 2044, Physical: true,
		Driver: "mlx4_core", HCA: "mlx4_0", Port: 1,
		Broadcast: "\x00\xff\xff\xff\xff\x12\x40\x1b\xff\xff\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
	}
}

// WithCarrier is the device with carrier.
func WithCarrier(d link.Device) link.Device {
	d.Carrier = true
	return d
}
