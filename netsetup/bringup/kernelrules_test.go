package bringup

import (
	"errors"
	"io/fs"
	"slices"
	"sync"

	"github.com/nodisk/nodisk/netsetup/link"
)

var (
	errInvalid  = errors.New("invalid argument")
	errNoDevice = errors.New("no such device")
)

// kernelRules are what the kernel makes of changes to links, and does by itself, which
// a fakeKernel without them leaves to the test:
//
//   - drivers/infiniband/ulp/ipoib: ipoib_ndo_init, ipoib_change_mtu, ipoib_set_mode,
//     ipoib_mcast_carrier_on_task;
//   - drivers/net/bonding/bond_main.c: bond_enslave, bond_change_mtu,
//     bond_slave_netdev_event;
//   - net/8021q/vlan.c: vlan_device_event.
type kernelRules struct {
	rtnl  sync.Mutex
	k     *fakeKernel
	next  int               // index of the next link
	ports map[string]*ipoib // IPoIB interfaces, by name
	max   map[string]int    // largest MTU of other devices, where there is a limit
}

// An ipoib is what the driver knows of an interface besides.
type ipoib struct {
	max       int  // IPOIB_UD_MTU of the largest packet of the port
	mcast     int  // of the broadcast group; max until it is joined
	admin     int  // the last that was asked for
	cm        bool // connected mode can be had
	connected bool
}

// underRules has a kernel with the rules.
func underRules(k *fakeKernel) *kernelRules {
	k.rules = &kernelRules{k: k, next: 100, ports: map[string]*ipoib{}, max: map[string]int{}}
	return k.rules
}

// port shows an IPoIB interface as it is before it has joined: its MTU is that of the
// adapter.
func (r *kernelRules) port(d link.Device, most int, cm bool) {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	r.ports[d.Name] = &ipoib{max: most, mcast: most, admin: most, cm: cm}
	d.MTU = most
	r.k.appear(d)
}

func (r *kernelRules) device(name string) (link.Device, bool) {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	d, ok := r.k.devices[name]
	return d, ok
}

// all are the devices that are so, by name.
func (r *kernelRules) all(so func(link.Device) bool) []string {
	r.k.mu.Lock()
	defer r.k.mu.Unlock()
	var names []string
	for name, d := range r.k.devices {
		if so(d) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func (r *kernelRules) portsOf(bond link.Device) []string {
	return r.all(func(d link.Device) bool { return bond.Index != 0 && d.Master == bond.Index })
}

// change shows a device when something about it has changed.
func (r *kernelRules) change(name string, f func(d *link.Device)) {
	d, ok := r.device(name)
	before := d
	if f(&d); ok && d != before {
		r.k.appear(d)
	}
}

// setMTU is dev_set_mtu.
func (r *kernelRules) setMTU(name string, mtu int) error {
	d, ok := r.device(name)
	switch p := r.ports[name]; {
	case !ok:
		return errNoDevice
	case d.MTU == mtu:
		return nil
	case p != nil && p.connected:
		if mtu > 65520 {
			return errInvalid
		}
	case p != nil:
		if mtu > p.max {
			return errInvalid
		}
		p.admin = mtu
		mtu = min(p.admin, p.mcast)
	case r.max[name] != 0 && mtu > r.max[name]:
		return errInvalid
	}
	var done []string
	for _, port := range r.portsOf(d) {
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
	r.change(name, func(d *link.Device) { d.MTU = mtu })
	for _, vlan := range r.all(func(o link.Device) bool { return o.Parent == d.Index && o.Type == link.HwEthernet && o.MTU > mtu }) {
		if err := r.setMTU(vlan, mtu); err != nil {
			return err
		}
	}
	return nil
}

func (r *kernelRules) isBond(d link.Device) bool {
	return !d.Physical && d.Parent == 0 && d.Type != link.HwLoopback
}

func (r *kernelRules) linkMTU(dev string, mtu int) error {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if err := r.k.do(link.SetMTU{Dev: dev, MTU: mtu}); err != nil {
		return err
	}
	return r.setMTU(dev, mtu)
}

func (r *kernelRules) linkMode(s link.SetMode) error {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if err := r.k.do(s); err != nil {
		return err
	}
	p := r.ports[s.Dev]
	switch {
	case p == nil || s.Mode == link.Connected && !p.cm:
		return errInvalid
	case s.Mode == link.Connected && !p.connected:
		p.connected = true
		return r.setMTU(s.Dev, 65520)
	case s.Mode != link.Connected && p.connected:
		p.connected = false
		d, _ := r.device(s.Dev)
		return r.setMTU(s.Dev, min(p.mcast, d.MTU))
	}
	return nil
}

// add shows a link that is made, if it is not there.
func (r *kernelRules) add(d link.Device) {
	if _, ok := r.device(d.Name); !ok {
		d.Index = r.next
		r.next++
		r.k.appear(d)
	}
}

func (r *kernelRules) bondAdd(s link.BondAdd) error {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if err := r.k.make(s); err != nil {
		return err
	}
	r.add(link.Device{Name: s.Name, Type: link.HwEthernet, Addr: "\x02\x00\x00\x00\x00\x01", Broadcast: "\xff\xff\xff\xff\xff\xff", MTU: 1500})
	return nil
}

func (r *kernelRules) vlanAdd(s link.VLANAdd) error {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if err := r.k.make(s); err != nil {
		return err
	}
	parent, ok := r.device(s.Link)
	if !ok {
		return errNoDevice
	}
	r.add(link.Device{Name: s.Name, Type: link.HwEthernet, Addr: parent.Addr, Parent: parent.Index, MTU: parent.MTU, Carrier: parent.Carrier})
	return nil
}

func (r *kernelRules) childAdd(s link.ChildAdd) error {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if err := r.k.make(s); err != nil {
		return err
	}
	parent, ok := r.device(s.Parent)
	if !ok {
		return errNoDevice
	}
	most := r.ports[s.Parent].max
	r.ports[s.Name] = &ipoib{max: most, mcast: most, admin: most}
	broadcast := parent.Broadcast[:8] + link.HardwareAddr([]byte{byte(s.PKey >> 8), byte(s.PKey)}) + parent.Broadcast[10:]
	r.add(link.Device{Name: s.Name, Type: link.HwInfiniBand, Addr: parent.Addr, Broadcast: broadcast, Parent: parent.Index, MTU: most})
	return nil
}

// linkMaster is bond_enslave.
func (r *kernelRules) linkMaster(s link.SetMaster) error {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if err := r.k.do(s); err != nil {
		return err
	}
	port, ok := r.device(s.Dev)
	bond, made := r.device(s.Master)
	switch {
	case !ok || !made:
		return errNoDevice
	case port.Up:
		return errors.New("operation not permitted")
	case len(r.portsOf(bond)) > 0 && port.Type != bond.Type:
		return errors.New("invalid argument")
	}
	if err := r.setMTU(port.Name, bond.MTU); err != nil {
		return err
	}
	first := len(r.portsOf(bond)) == 0
	r.change(port.Name, func(d *link.Device) { d.Master, d.Up = bond.Index, true })
	r.change(bond.Name, func(d *link.Device) {
		if first {
			d.Type, d.Addr, d.Broadcast = port.Type, port.Addr, port.Broadcast
		}
		d.Carrier = d.Carrier || port.Carrier
	})
	return nil
}

// bondSet is bond_option_active_slave_set and bond_option_primary_set: only the first
// minds whose port it is.
func (r *kernelRules) bondSet(s link.BondSet) error {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if err := r.k.do(s); err != nil {
		return err
	}
	bond, _ := r.device(s.Bond)
	if s.Option == "active_slave" && !slices.Contains(r.portsOf(bond), s.Port) {
		return errInvalid
	}
	return nil
}

// join has a port join a broadcast group of that MTU, or of the same again.
func (r *kernelRules) join(name string, mtu int) {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	if p := r.ports[name]; p != nil {
		p.mcast = mtu
		if !p.connected {
			_ = r.setMTU(name, min(p.mcast, p.admin))
		}
	}
	r.change(name, func(d *link.Device) { d.Carrier = true })
	d, _ := r.device(name)
	for _, bond := range r.all(func(o link.Device) bool { return o.Index == d.Master && d.Master != 0 }) {
		r.change(bond, func(b *link.Device) { b.Carrier = true })
	}
}

// unregister takes a device away, and what goes with it: unregister_netdevice has its
// children go, and the bond whose last port it is unless that is one of Ethernet.
func (r *kernelRules) unregister(name string) {
	r.rtnl.Lock()
	defer r.rtnl.Unlock()
	r.drop(name)
}

func (r *kernelRules) drop(name string) {
	d, ok := r.device(name)
	if !ok {
		return
	}
	for _, child := range r.all(func(o link.Device) bool { return o.Parent == d.Index }) {
		r.drop(child)
	}
	for _, port := range r.portsOf(d) { // bond_uninit
		r.change(port, func(p *link.Device) { p.Master, p.Up = 0, false })
	}
	master := d.Master
	r.k.mu.Lock()
	delete(r.k.devices, name)
	delete(r.ports, name)
	r.k.mu.Unlock()
	for _, bond := range r.all(func(o link.Device) bool { return master != 0 && o.Index == master }) {
		b, _ := r.device(bond)
		lit := false
		for _, port := range r.portsOf(b) {
			o, _ := r.device(port)
			lit = lit || o.Carrier
		}
		if len(r.portsOf(b)) == 0 && b.Type != link.HwEthernet {
			r.drop(bond)
		} else {
			r.change(bond, func(b *link.Device) { b.Carrier = lit })
		}
	}
	r.k.events <- link.Event{Device: d, Gone: true}
}

func (k *fakeKernel) LinkMTU(dev string, mtu int) error {
	if k.rules != nil {
		return k.rules.linkMTU(dev, mtu)
	}
	err := k.do(link.SetMTU{Dev: dev, MTU: mtu})
	k.mu.Lock()
	defer k.mu.Unlock()
	if d, ok := k.devices[dev]; err == nil && ok {
		d.MTU = mtu
		k.devices[dev] = d
	}
	return err
}

func (k *fakeKernel) MTU(dev string) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	d, ok := k.devices[dev]
	if !ok {
		return 0, fs.ErrNotExist
	}
	return d.MTU, nil
}

func (k *fakeKernel) BondPorts(bond string) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var ports []string
	for _, d := range k.devices {
		if master := k.devices[bond].Index; master != 0 && d.Master == master {
			ports = append(ports, d.Name)
		}
	}
	return ports, nil
}

func (k *fakeKernel) LinkMode(s link.SetMode) error {
	if k.rules != nil {
		return k.rules.linkMode(s)
	}
	return k.do(s)
}

func (k *fakeKernel) LinkMaster(s link.SetMaster) error {
	if k.rules != nil {
		return k.rules.linkMaster(s)
	}
	return k.do(s)
}

func (k *fakeKernel) BondSet(s link.BondSet) error {
	if k.rules != nil {
		return k.rules.bondSet(s)
	}
	return k.do(s)
}

func (k *fakeKernel) BondAdd(s link.BondAdd) error {
	if k.rules != nil {
		return k.rules.bondAdd(s)
	}
	return k.make(s)
}

func (k *fakeKernel) VLANAdd(s link.VLANAdd) error {
	if k.rules != nil {
		return k.rules.vlanAdd(s)
	}
	return k.make(s)
}

func (k *fakeKernel) ChildAdd(s link.ChildAdd) error {
	if k.rules != nil {
		return k.rules.childAdd(s)
	}
	return k.make(s)
}
