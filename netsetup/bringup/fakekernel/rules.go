package fakekernel

import (
	"errors"
	"slices"
	"sync"

	"github.com/nodisk/nodisk/netsetup/link"
)

var (
	// ErrInvalid is EINVAL.
	ErrInvalid  = errors.New("invalid argument")
	errNoDevice = errors.New("no such device")
)

// Rules are what the kernel makes of changes to links, and does by itself, which
// a Kernel without them leaves to the test:
//
//   - drivers/infiniband/ulp/ipoib: ipoib_ndo_init, ipoib_change_mtu, ipoib_set_mode,
//     ipoib_mcast_carrier_on_task;
//   - drivers/net/bonding/bond_main.c: bond_enslave, bond_change_mtu,
//     bond_slave_netdev_event;
//   - net/8021q/vlan.c: vlan_device_event.
type Rules struct {
	RTNL  sync.Mutex
	k     *Kernel
	next  int               // index of the next link
	ports map[string]*ipoib // IPoIB interfaces, by name
	Max   map[string]int    // largest MTU of other devices, where there is a limit
}

// An ipoib is what the driver knows of an interface besides.
type ipoib struct {
	max       int  // IPOIB_UD_MTU of the largest packet of the port
	mcast     int  // of the broadcast group; max until it is joined
	admin     int  // the last that was asked for
	cm        bool // connected mode can be had
	connected bool
}

// UnderRules has a kernel with the rules.
func UnderRules(k *Kernel) *Rules {
	k.Rules = &Rules{k: k, next: 100, ports: map[string]*ipoib{}, Max: map[string]int{}}
	return k.Rules
}

// Port shows an IPoIB interface as it is before it has joined: its MTU is that of the
// adapter.
func (r *Rules) Port(d link.Device, most int, cm bool) {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	r.ports[d.Name] = &ipoib{max: most, mcast: most, admin: most, cm: cm}
	d.MTU = most
	r.k.Appear(d)
}

// Device is a device as it is now, if it is there.
func (r *Rules) Device(name string) (link.Device, bool) {
	r.k.Lock()
	defer r.k.Unlock()
	d, ok := r.k.Devices[name]
	return d, ok
}

// all are the devices that are so, by name.
func (r *Rules) all(so func(link.Device) bool) []string {
	r.k.Lock()
	defer r.k.Unlock()
	var names []string
	for name, d := range r.k.Devices {
		if so(d) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// PortsOf are the names of a bond's ports.
func (r *Rules) PortsOf(bond link.Device) []string {
	return r.all(func(d link.Device) bool { return bond.Index != 0 && d.Master == bond.Index })
}

// Change shows a device when something about it has changed.
func (r *Rules) Change(name string, f func(d *link.Device)) {
	d, ok := r.Device(name)
	before := d
	if f(&d); ok && d != before {
		r.k.Appear(d)
	}
}

// setMTU is dev_set_mtu.
func (r *Rules) setMTU(name string, mtu int) error {
	d, ok := r.Device(name)
	switch p := r.ports[name]; {
	case !ok:
		return errNoDevice
	case d.MTU == mtu:
		return nil
	case p != nil && p.connected:
		if mtu > 65520 {
			return ErrInvalid
		}
	case p != nil:
		if mtu > p.max {
			return ErrInvalid
		}
		p.admin = mtu
		mtu = min(p.admin, p.mcast)
	case r.Max[name] != 0 && mtu > r.Max[name]:
		return ErrInvalid
	}
	var done []string
	for _, port := range r.PortsOf(d) {
		if d.Name == name && r.isBond(d) {
			if err := r.setMTU(port, mtu); err != nil {
				for _, o := range done {
					_ = r.setMTU(o, d.MTU)
				}
				return err
			}
			done = append(done, port)
		}
	}
	r.Change(name, func(d *link.Device) { d.MTU = mtu })
	for _, vlan := range r.all(func(o link.Device) bool {
		return o.Parent == d.Index && o.Type == link.HwEthernet && o.MTU > mtu
	}) {
		if err := r.setMTU(vlan, mtu); err != nil {
			return err
		}
	}
	return nil
}

func (r *Rules) isBond(d link.Device) bool {
	return !d.Physical && d.Parent == 0 && d.Type != link.HwLoopback
}

// LinkMTU is what comes of setting an MTU.
func (r *Rules) LinkMTU(dev string, mtu int) error {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if err := r.k.do(link.SetMTU{Dev: dev, MTU: mtu}); err != nil {
		return err
	}
	return r.setMTU(dev, mtu)
}

func (r *Rules) linkMode(s link.SetMode) error {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if err := r.k.do(s); err != nil {
		return err
	}
	p := r.ports[s.Dev]
	switch {
	case p == nil || s.Mode == link.Connected && !p.cm:
		return ErrInvalid
	case s.Mode == link.Connected && !p.connected:
		p.connected = true
		return r.setMTU(s.Dev, 65520)
	case s.Mode != link.Connected && p.connected:
		p.connected = false
		d, _ := r.Device(s.Dev)
		return r.setMTU(s.Dev, min(p.mcast, d.MTU))
	}
	return nil
}

// add shows a link that is made, if it is not there.
func (r *Rules) add(d link.Device) {
	if _, ok := r.Device(d.Name); !ok {
		d.Index = r.next
		r.next++
		r.k.Appear(d)
	}
}

func (r *Rules) bondAdd(s link.BondAdd) error {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if err := r.k.make(s); err != nil {
		return err
	}
	r.add(link.Device{
		Name:      s.Name,
		Type:      link.HwEthernet,
		Addr:      "\x02\x00\x00\x00\x00\x01",
		Broadcast: "\xff\xff\xff\xff\xff\xff",
		MTU:       1500,
	})
	return nil
}

func (r *Rules) vlanAdd(s link.VLANAdd) error {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if err := r.k.make(s); err != nil {
		return err
	}
	parent, ok := r.Device(s.Link)
	if !ok {
		return errNoDevice
	}
	r.add(link.Device{
		Name:    s.Name,
		Type:    link.HwEthernet,
		Addr:    parent.Addr,
		Parent:  parent.Index,
		MTU:     parent.MTU,
		Carrier: parent.Carrier,
	})
	return nil
}

func (r *Rules) childAdd(s link.ChildAdd) error {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if err := r.k.make(s); err != nil {
		return err
	}
	parent, ok := r.Device(s.Parent)
	if !ok {
		return errNoDevice
	}
	most := r.ports[s.Parent].max
	r.ports[s.Name] = &ipoib{max: most, mcast: most, admin: most}
	pkey := link.HardwareAddr([]byte{byte(s.PKey >> 8), byte(s.PKey)})
	r.add(link.Device{
		Name: s.Name, Type: link.HwInfiniBand, Addr: parent.Addr, Parent: parent.Index, MTU: most,
		Broadcast: parent.Broadcast[:8] + pkey + parent.Broadcast[10:],
	})
	return nil
}

// linkMaster is bond_enslave.
func (r *Rules) linkMaster(s link.SetMaster) error {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if err := r.k.do(s); err != nil {
		return err
	}
	port, ok := r.Device(s.Dev)
	bond, made := r.Device(s.Master)
	switch {
	case !ok || !made:
		return errNoDevice
	case port.Up:
		return errors.New("operation not permitted")
	case len(r.PortsOf(bond)) > 0 && port.Type != bond.Type:
		return errors.New("invalid argument")
	}
	if err := r.setMTU(port.Name, bond.MTU); err != nil {
		return err
	}
	first := len(r.PortsOf(bond)) == 0
	r.Change(port.Name, func(d *link.Device) { d.Master, d.Up = bond.Index, true })
	r.Change(bond.Name, func(d *link.Device) {
		if first {
			d.Type, d.Addr, d.Broadcast = port.Type, port.Addr, port.Broadcast
		}
		d.Carrier = d.Carrier || port.Carrier
	})
	return nil
}

// bondSet is bond_option_active_slave_set and bond_option_primary_set: only the first
// minds whose port it is.
func (r *Rules) bondSet(s link.BondSet) error {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if err := r.k.do(s); err != nil {
		return err
	}
	bond, _ := r.Device(s.Bond)
	if s.Option == "active_slave" && !slices.Contains(r.PortsOf(bond), s.Port) {
		return ErrInvalid
	}
	return nil
}

// Join has a port join a broadcast group of that MTU, or of the same again.
func (r *Rules) Join(name string, mtu int) {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	if p := r.ports[name]; p != nil {
		p.mcast = mtu
		if !p.connected {
			_ = r.setMTU(name, min(p.mcast, p.admin))
		}
	}
	r.Change(name, func(d *link.Device) { d.Carrier = true })
	d, _ := r.Device(name)
	for _, bond := range r.all(func(o link.Device) bool { return o.Index == d.Master && d.Master != 0 }) {
		r.Change(bond, func(b *link.Device) { b.Carrier = true })
	}
}

// Unregister takes a device away, and what goes with it: unregister_netdevice has its
// children go, and the bond whose last port it is unless that is one of Ethernet.
func (r *Rules) Unregister(name string) {
	r.RTNL.Lock()
	defer r.RTNL.Unlock()
	r.drop(name)
}

func (r *Rules) drop(name string) {
	d, ok := r.Device(name)
	if !ok {
		return
	}
	for _, child := range r.all(func(o link.Device) bool { return o.Parent == d.Index }) {
		r.drop(child)
	}
	for _, port := range r.PortsOf(d) { // bond_uninit
		r.Change(port, func(p *link.Device) { p.Master, p.Up = 0, false })
	}
	master := d.Master
	r.k.Lock()
	delete(r.k.Devices, name)
	delete(r.ports, name)
	r.k.Unlock()
	for _, bond := range r.all(func(o link.Device) bool { return master != 0 && o.Index == master }) {
		b, _ := r.Device(bond)
		lit := false
		for _, port := range r.PortsOf(b) {
			o, _ := r.Device(port)
			lit = lit || o.Carrier
		}
		if len(r.PortsOf(b)) == 0 && b.Type != link.HwEthernet {
			r.drop(bond)
		} else {
			r.Change(bond, func(b *link.Device) { b.Carrier = lit })
		}
	}
	r.k.Events <- link.Event{Device: d, Gone: true}
}
