package fakekernel

import (
	"io/fs"
	"net/netip"
	"time"

	"github.com/nodisk/nodisk/netsetup/link"
)

// LinkUp sets a device up or down, for as long as its driver takes.
func (k *Kernel) LinkUp(dev string, up bool) error {
	k.Lock()
	wait := k.Opening[dev]
	k.Unlock()
	if wait > 0 {
		<-time.After(wait)
	}
	if !up {
		return k.do(link.Down{Dev: dev})
	}
	err := k.do(link.Up{Dev: dev})
	if err == nil && k.Rules != nil {
		if _, ok := k.Rules.Device(dev); !ok {
			return errNoDevice
		}
	}
	if err == nil {
		k.Change(dev, func(d *link.Device) { d.Up = true })
	}
	return err
}

// LinkName renames a device that is not busy, and its cable goes with it.
func (k *Kernel) LinkName(dev, name string) error {
	k.Lock()
	_, taken := k.Devices[name]
	k.Unlock()
	if err := k.Busy[dev]; err != nil {
		return err
	}
	if taken {
		return fs.ErrExist
	}
	if err := k.do(link.SetName{Dev: dev, Name: name}); err != nil {
		return err
	}
	k.Change(dev, func(d *link.Device) { d.Name, d.Udev.Kept = name, true }) // its name_assign_type is 4 now
	k.Lock()
	if _, ok := k.Servers[name]; !ok { // the cable goes with the card
		k.Servers[name], k.rivals[name] = k.Servers[dev], k.rivals[dev]
	}
	k.Unlock()
	return nil
}

// LinkType is the type of a device, which only the rules know.
func (k *Kernel) LinkType(dev string) (uint16, error) {
	if k.Rules != nil {
		if d, ok := k.Rules.Device(dev); ok {
			return d.Type, nil
		}
	}
	return 0, errNoDevice
}

// LinkAddr notes a hardware address; what comes of it is the test's.
func (k *Kernel) LinkAddr(dev string, a link.HardwareAddr) error {
	return k.do(link.SetAddr{Dev: dev, Addr: a})
}

// AddrAdd notes an address.
func (k *Kernel) AddrAdd(dev string, a netip.Prefix) error {
	return k.do(link.AddrAdd{Dev: dev, Addr: a})
}

// AddrDel notes that an address is taken away.
func (k *Kernel) AddrDel(dev string, a netip.Prefix) error {
	return k.do(link.AddrDel{Dev: dev, Addr: a})
}

// NoRouters notes that routers are not listened to.
func (k *Kernel) NoRouters(dev string) error { return k.do(link.NoRouters{Dev: dev}) }

// RouteDel notes that a route is taken away.
func (k *Kernel) RouteDel(r link.RouteDel) error { return k.do(r) }

// RouterMetric notes the metric of routes from advertisements.
func (k *Kernel) RouterMetric(dev string, metric int) error {
	return k.do(link.RouterMetric{Dev: dev, Metric: metric})
}

// RouteSet notes a route.
func (k *Kernel) RouteSet(r link.Route) error { return k.do(r) }

// BridgeAdd notes a bridge.
func (k *Kernel) BridgeAdd(s link.BridgeAdd) error { return k.make(s) }

func (k *Kernel) make(s link.Step) error {
	err := k.do(s)
	if err == nil && k.Made != nil {
		k.Made()
	}
	return err
}

// LinkMTU sets an MTU.
func (k *Kernel) LinkMTU(dev string, mtu int) error {
	if k.Rules != nil {
		return k.Rules.LinkMTU(dev, mtu)
	}
	err := k.do(link.SetMTU{Dev: dev, MTU: mtu})
	k.Lock()
	defer k.Unlock()
	if d, ok := k.Devices[dev]; err == nil && ok {
		d.MTU = mtu
		k.Devices[dev] = d
	}
	return err
}

// MTU is the MTU of a device.
func (k *Kernel) MTU(dev string) (int, error) {
	k.Lock()
	defer k.Unlock()
	d, ok := k.Devices[dev]
	if !ok {
		return 0, fs.ErrNotExist
	}
	return d.MTU, nil
}

// BondPorts are the ports of a bond.
func (k *Kernel) BondPorts(bond string) ([]string, error) {
	k.Lock()
	defer k.Unlock()
	var ports []string
	for _, d := range k.Devices {
		if master := k.Devices[bond].Index; master != 0 && d.Master == master {
			ports = append(ports, d.Name)
		}
	}
	return ports, nil
}

// LinkMode sets the mode of an IPoIB interface.
func (k *Kernel) LinkMode(s link.SetMode) error {
	if k.Rules != nil {
		return k.Rules.linkMode(s)
	}
	return k.do(s)
}

// LinkMaster makes a device a port of another.
func (k *Kernel) LinkMaster(s link.SetMaster) error {
	if k.Rules != nil {
		return k.Rules.linkMaster(s)
	}
	return k.do(s)
}

// BondSet sets the port that a bond uses.
func (k *Kernel) BondSet(s link.BondSet) error {
	if k.Rules != nil {
		return k.Rules.bondSet(s)
	}
	return k.do(s)
}

// BondAdd makes a bond.
func (k *Kernel) BondAdd(s link.BondAdd) error {
	if k.Rules != nil {
		return k.Rules.bondAdd(s)
	}
	return k.make(s)
}

// VLANAdd makes a VLAN.
func (k *Kernel) VLANAdd(s link.VLANAdd) error {
	if k.Rules != nil {
		return k.Rules.vlanAdd(s)
	}
	return k.make(s)
}

// ChildAdd makes a P_Key child.
func (k *Kernel) ChildAdd(s link.ChildAdd) error {
	if k.Rules != nil {
		return k.Rules.childAdd(s)
	}
	return k.make(s)
}
