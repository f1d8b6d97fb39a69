package bringup

import (
	"github.com/nodisk/nodisk/netsetup/link"
)

// guideAddr is the port of the FlexBoot guide's example as an IPoIB address.
const guideAddr = link.HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")

func guidePort() link.Device {
	return link.Device{
		Index: 5, Name: "ib0", Type: link.HwInfiniBand, Addr: guideAddr, MTU: 2044, Physical: true, Driver: "mlx4_core", HCA: "mlx4_0", Port: 1,
		Broadcast: "\x00\xff\xff\xff\xff\x12\x40\x1b\xff\xff\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
	}
}
