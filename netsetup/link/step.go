package link

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
)

// A Step is one change to the network. String is the ip(8) command that does
// the same. The steps are LinkUp, LinkDown, LinkMTU, LinkName, LinkAddr,
// AddrAdd, AddrDel, NoRouters, RouterMetric, Route, RouteDel, LinkMode, LinkMaster,
// ChildAdd, VLANAdd, BondAdd, BondFit, BondSet, BridgeAdd and Contradiction. NoRouters and RouterMetric
// have another command.
type Step interface {
	fmt.Stringer
	Apply(l Linker) error
}

// A Linker makes the changes. Devices are given by name. Finding a change already made is not an
// error.
type Linker interface {
	// MTU is that of a device now, in bytes.
	MTU(dev string) (int, error)
	// LinkType is the ARP hardware type of a device now.
	LinkType(dev string) (uint16, error)
	// BondPorts are the ports that a bond has now, by name.
	BondPorts(bond string) ([]string, error)
	LinkUp(dev string, up bool) error
	LinkMTU(dev string, mtu int) error
	LinkName(dev, name string) error
	LinkAddr(dev string, addr HardwareAddr) error
	AddrAdd(dev string, addr netip.Prefix) error
	AddrDel(dev string, addr netip.Prefix) error
	NoRouters(dev string) error
	RouterMetric(dev string, metric int) error
	RouteSet(r Route) error
	RouteDel(r RouteDel) error
	LinkMode(s SetMode) error
	LinkMaster(s SetMaster) error
	ChildAdd(c ChildAdd) error
	VLANAdd(v VLANAdd) error
	BondAdd(b BondAdd) error
	BondSet(s BondSet) error
	BridgeAdd(b BridgeAdd) error
}

// Up sets an interface up.
type Up struct{ Dev string }

// Down sets an interface down.
type Down struct{ Dev string }

// SetMTU sets the MTU in bytes.
type SetMTU struct {
	Dev string
	MTU int
}

// SetName renames an interface that is down.
type SetName struct{ Dev, Name string }

// SetAddr sets the hardware address of an interface that is down.
type SetAddr struct {
	Dev  string
	Addr HardwareAddr
}

// AddrAdd adds an address, valid forever: the kernel must not take it from
// under the root when a lease ends that nobody renewed.
type AddrAdd struct {
	Dev  string
	Addr netip.Prefix
}

// Route sets a route; "replace" so that a second try of the boot, with another gateway, does not
// conflict with the first. Routes in Config and Lease have this form, too; there Dev may be
// empty.
type Route struct {
	Dst netip.Prefix // 0.0.0.0/0 or ::/0 is the default route
	Via netip.Addr   // zero: the destination is on the link
	Dev string
	// OnLink accepts a gateway that no other route reaches.
	OnLink bool
	Metric int
}

// SetMode sets the transport of an IPoIB interface: datagram or connected.
type SetMode struct{ Dev, Mode string }

// SetMaster makes an interface a port of a bridge, or of a bond; that one must
// be down.
type SetMaster struct{ Dev, Master string }

// ChildAdd makes a P_Key child.
type ChildAdd Child

// VLANAdd makes a VLAN.
type VLANAdd struct {
	Name, Link string
	ID         int
}

// BondAdd makes a bond without ports. Options that are about a port are left to
// BondSet.
type BondAdd Bond

// BondFit gives a bond an MTU that the port which is about to join it can have, and the port that
// MTU, if one is asked for (0 for none). The first port decides, each further one can only lower
// it. Without it the kernel would give the port the MTU of the bond, 1500 at first, and refuse a
// port that cannot have it (bond_enslave of drivers/net/bonding/bond_main.c).
type BondFit struct {
	Bond, Port string
	MTU        int
}

// BondSet sets an option whose value is a port of the bond.
type BondSet struct{ Bond, Option, Port string }

// BridgeAdd makes a bridge without ports that forwards at once, with an address of its own that
// stays.
type BridgeAdd struct {
	Name string
	Addr HardwareAddr
}

var (
	_ Step = Up{}
	_ Step = Down{}
	_ Step = SetMTU{}
	_ Step = SetName{}
	_ Step = SetAddr{}
	_ Step = AddrAdd{}
	_ Step = Route{}
	_ Step = SetMode{}
	_ Step = SetMaster{}
	_ Step = ChildAdd{}
	_ Step = VLANAdd{}
	_ Step = BondAdd{}
	_ Step = BondFit{}
	_ Step = BondSet{}
	_ Step = BridgeAdd{}
)

func (s Up) String() string      { return "ip link set " + s.Dev + " up" }
func (s Down) String() string    { return "ip link set " + s.Dev + " down" }
func (s SetMTU) String() string  { return "ip link set " + s.Dev + " mtu " + strconv.Itoa(s.MTU) }
func (s SetName) String() string { return "ip link set " + s.Dev + " name " + s.Name }
func (s SetAddr) String() string { return "ip link set " + s.Dev + " address " + s.Addr.String() }

// String leaves "brd +" out where there is no broadcast address (RFC 3021, and
// IPv6).
func (s AddrAdd) String() string {
	brd := ""
	if s.Addr.Addr().Is4() && s.Addr.Bits() < 31 {
		brd = " brd +"
	}
	return "ip addr add " + s.Addr.String() + brd + " dev " + s.Dev
}

func (s Route) String() string {
	t := "ip route replace " + s.Dst.String()
	if s.Dst.Bits() == 0 {
		t = "ip route replace default"
	}
	if s.Via.IsValid() {
		t += " via " + s.Via.String()
	}
	if s.Dev != "" {
		t += " dev " + s.Dev
	}
	if s.OnLink {
		t += " onlink"
	}
	if s.Metric != 0 {
		t += " metric " + strconv.Itoa(s.Metric)
	}
	return t
}

func (s SetMode) String() string   { return "ip link set " + s.Dev + " type ipoib mode " + s.Mode }
func (s SetMaster) String() string { return "ip link set " + s.Dev + " master " + s.Master }
func (s ChildAdd) String() string {
	return fmt.Sprintf("ip link add link %s name %s type ipoib pkey %#04x", s.Parent, s.Name, s.PKey)
}

func (s VLANAdd) String() string {
	return "ip link add link " + s.Link + " name " + s.Name + " type vlan id " + strconv.Itoa(s.ID)
}

func (s BondAdd) String() string {
	words := []string{"ip link add", s.Name, "type bond"}
	for _, o := range s.Options {
		if o.Name != "primary" && o.Name != "active_slave" {
			words = append(words, o.Name, o.Value)
		}
	}
	return strings.Join(words, " ")
}

func (s BondFit) String() string {
	if s.MTU != 0 {
		return SetMTU{Dev: s.Port, MTU: s.MTU}.String() // and no larger for the bond
	}
	return "ip link set " + s.Bond + ` mtu "$(cat /sys/class/net/` + s.Port + `/mtu)"`
}

func (s BondSet) String() string {
	return "ip link set " + s.Bond + " type bond " + s.Option + " " + s.Port
}

func (s BridgeAdd) String() string {
	return "ip link add " + s.Name + " address " + s.Addr.String() + " type bridge stp_state 0 forward_delay 0"
}

// Apply carries the step out.
func (s Up) Apply(l Linker) error { return l.LinkUp(s.Dev, true) }

// Apply carries the step out.
func (s Down) Apply(l Linker) error { return l.LinkUp(s.Dev, false) }

// Apply carries the step out.
func (s SetName) Apply(l Linker) error { return l.LinkName(s.Dev, s.Name) }

// Apply carries the step out.
func (s SetAddr) Apply(l Linker) error { return l.LinkAddr(s.Dev, s.Addr) }

// Apply carries the step out.
func (s AddrAdd) Apply(l Linker) error { return l.AddrAdd(s.Dev, s.Addr) }

// Apply carries the step out.
func (s Route) Apply(l Linker) error { return l.RouteSet(s) }

// Apply carries the step out: adapters since ConnectX-4 have datagram mode only; the network works
// all the same.
func (s SetMode) Apply(l Linker) error {
	if err := l.LinkMode(s); err != nil {
		return &Shortfall{Dev: s.Dev, Step: s.String(), Err: err, What: "the mode stays as it is"}
	}
	return nil
}

// Apply carries the step out: a device that cannot have the MTU works with the one it has.
func (s SetMTU) Apply(l Linker) error {
	err := l.LinkMTU(s.Dev, s.MTU)
	if err == nil {
		return nil
	}
	have, gone := l.MTU(s.Dev)
	if gone != nil {
		return err
	}
	return &Shortfall{Dev: s.Dev, Step: s.String(), Err: err, What: fmt.Sprintf("the MTU of %s stays %d", s.Dev, have)}
}

// Apply carries the step out.
func (s BondFit) Apply(l Linker) error {
	var refused error
	if s.MTU != 0 {
		refused = l.LinkMTU(s.Port, s.MTU)
	}
	fit, err := l.MTU(s.Port)
	if err != nil {
		return fmt.Errorf("read MTU of %s: %w", s.Port, err)
	}
	have, err := l.MTU(s.Bond)
	if err != nil {
		return fmt.Errorf("read MTU of %s: %w", s.Bond, err)
	}
	ports, err := l.BondPorts(s.Bond)
	if err != nil {
		return err
	}
	if len(ports) > 0 {
		fit = min(fit, have)
	}
	if fit != have {
		if err := l.LinkMTU(s.Bond, fit); err != nil {
			return err
		}
	}
	if refused != nil {
		step := SetMTU{Dev: s.Bond, MTU: s.MTU}.String()
		return &Shortfall{
			Dev:  s.Port,
			Step: step,
			Err:  refused,
			What: fmt.Sprintf("the MTU of %s stays %d", s.Port, fit),
		}
	}
	return nil
}

// Apply carries the step out: a port of another type than those that a bond has stays outside
// (EINVAL of bond_enslave), whoever waits.
func (s SetMaster) Apply(l Linker) error {
	err := l.LinkMaster(s)
	if err == nil {
		return nil
	}
	if why := foreign(l, s.Dev, s.Master); why != "" {
		return &Shortfall{Step: s.String(), What: why}
	}
	return err
}

// foreign says why a device cannot be in a bond that has ports of another type; empty
// if it can be, or that is not known.
func foreign(l Linker, dev, bond string) string {
	kind, known := l.LinkType(dev)
	have, there := l.LinkType(bond)
	if known != nil || there != nil || kind == have || typeName(kind) == "" || typeName(have) == "" {
		return ""
	}
	ports, err := l.BondPorts(bond)
	if err != nil || len(ports) == 0 {
		return ""
	}
	return fmt.Sprintf("%s is %s by %s; %s is %s and cannot be in it",
		bond, typeName(have), strings.Join(ports, ", "), dev, typeName(kind))
}

// typeName is what people call an ARP hardware type, empty for those that no bond has.
func typeName(t uint16) string {
	switch t {
	case HwEthernet:
		return "Ethernet"
	case HwInfiniBand:
		return "InfiniBand"
	default:
		return ""
	}
}

// Apply carries the step out: a bond works without the port that it is to prefer, and one that can never be
// in it (EINVAL of bond_option_active_slave_set) is not tried again.
func (s BondSet) Apply(l Linker) error {
	err := l.BondSet(s)
	if err == nil || foreign(l, s.Port, s.Bond) == "" {
		return err
	}
	return &Shortfall{Step: s.String(), What: s.Bond + " goes on without " + s.Option + " " + s.Port}
}

// A Contradiction stands in place of a step that this device cannot have. It is never done.
type Contradiction struct{ What string }

// String is the sentence.
func (s Contradiction) String() string { return s.What }

// Apply carries the step out.
func (s Contradiction) Apply(Linker) error { return ErrContradiction }

// Apply carries the step out.
func (s ChildAdd) Apply(l Linker) error { return l.ChildAdd(s) }

// Apply carries the step out.
func (s VLANAdd) Apply(l Linker) error { return l.VLANAdd(s) }

// Apply carries the step out.
func (s BondAdd) Apply(l Linker) error { return l.BondAdd(s) }

// Apply carries the step out.
func (s BridgeAdd) Apply(l Linker) error { return l.BridgeAdd(s) }
