package link

import (
	"cmp"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/internal/sets"
)

// A Device is a network interface as the kernel shows it.
type Device struct {
	Index int
	Name  string
	// Alt are the kernel's alternative names (altname of ip-link(8)) separated by slashes, which
	// no name can contain.
	Alt string
	// Given is set by Up for an adapter: the name that the kernel gave, or would have
	// given if no other had been renamed before.
	Given string
	// Udev are the names that udev has for it.
	Udev UdevNames
	// Boot is set by Up for the interface of BOOTIF= and the links that are made
	// of it, somewhere down.
	Boot bool
	Addr HardwareAddr
	// Perm is the address that the adapter was made with, if the kernel reports it. The port of a
	// bond has that of the bond instead.
	Perm HardwareAddr
	Type uint16 // ARPHRD_*: 1 Ethernet, 32 InfiniBand, 772 loopback
	MTU  int
	// Up is IFF_UP: the administrator's side.
	Up bool
	// Carrier is IFF_LOWER_UP: there is a signal.
	Carrier bool
	// Running is the operational state "up" (RFC 2863): the queue is certainly open. It comes
	// together with carrier or up to a second after it; see link of the runner in package
	// bringup.
	Running bool
	// Master is the index of the bond or bridge the device is a port of.
	Master int
	// Parent is the index of the device that this one, a P_Key child or VLAN, is made of
	// (IFLA_LINK).
	Parent int
	// Broadcast is the link layer's broadcast address.
	Broadcast HardwareAddr
	// Physical is set if a device on a bus is behind it, and it is not a radio.
	Physical bool
	// Driver is the kernel's name of the driver of that device.
	Driver string
	// HCA and Port are where an InfiniBand interface is: mlx4_0, 1.
	HCA  string
	Port int
}

// Names are all that the device has: its own, the kernel's alternative ones,
// and those of udev.
func (d Device) Names() []string {
	names := []string{d.Name}
	if d.Alt != "" {
		names = append(names, strings.Split(d.Alt, "/")...)
	}
	return sets.Union(names, d.Udev.All())
}

// Known is the name, followed by the others.
func (d Device) Known() string {
	if others := d.Names()[1:]; len(others) > 0 {
		return d.Name + " (" + strings.Join(others, ", ") + ")"
	}
	return d.Name
}

// Lasting is the address by which the device is known across boots: for InfiniBand the port GUID.
func (d Device) Lasting() HardwareAddr {
	if d.Type == HwInfiniBand && len(d.Addr) == 20 {
		return d.Addr[12:]
	}
	return d.Addr
}

// Same reports whether two are one device that was registered again: an adapter is known by the
// address that stays, what is made of others by its name. The port of a virtual function has no
// such address before its host sets it, and an Ethernet one has a random one with each
// registration until then: it is known by its place.
func (d Device) Same(o Device) bool {
	switch {
	case d.Hardware() != o.Hardware() || d.Type != o.Type && d.Hardware():
		return false
	case !d.Hardware() || !d.Identified() && !o.Identified():
		return d.Name == o.Name
	case d.Type == HwInfiniBand:
		return d.Lasting() == o.Lasting()
	default:
		return cmp.Or(d.Perm, d.Addr) == cmp.Or(o.Perm, o.Addr) || d.inPlaceOf(o)
	}
}

// inPlaceOf reports whether two adapters without an address of their own are in the same place,
// with the same driver: a random address (NET_ADDR_RANDOM) is never a permanent one
// (register_netdevice of net/core/dev.c).
func (d Device) inPlaceOf(o Device) bool {
	return d.Perm == "" && o.Perm == "" && d.Driver == o.Driver && d.Udev.Path != "" && d.Udev.Path == o.Udev.Path
}

// Hardware reports whether an adapter that nodisk can use is behind the device. A
// P_Key child is not one, though the adapter of its parent may be shown behind it; a
// port of a switch chip (DSA) is, though it is made of another device.
func (d Device) Hardware() bool {
	return d.Physical && (d.Type == HwEthernet || d.Type == HwInfiniBand && d.Parent == 0)
}

// PortName is what people call the port of a device.
func (d Device) PortName() string {
	return "port " + strconv.Itoa(d.Port) + " of " + d.HCA
}

// Identified reports whether the device can be told from others: it is not an InfiniBand port
// whose GUID is zero.
func (d Device) Identified() bool {
	if d.Type != HwInfiniBand || len(d.Addr) != 20 {
		return true
	}
	_, ok := d.Addr.GUID()
	return ok
}

// ZeroGUID is the sentence about that gate.
func (d Device) ZeroGUID(since time.Duration) string {
	where := ""
	if d.Port != 0 {
		where = d.PortName() + ", "
	}
	return "port GUID is zero (" + where + "for " + phrase.Seconds(
		since,
	) + "): the host must set it (ip link set PF vf N node_guid/port_guid)"
}

// PortKey is the device's port, for which a device without InfiniBand has the zero value.
func (d Device) PortKey() PortKey { return PortKey{d.HCA, d.Port} }
