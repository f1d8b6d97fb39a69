package link

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of the kinds of links (include/uapi/linux/if_link.h) that package nl does not name.
// Those of bonds are in bondTable and in link_bond_linux.go.
const (
	bridgeForwardDelay = 1 // IFLA_BR_FORWARD_DELAY
	bridgeSTPState     = 5 // IFLA_BR_STP_STATE
)

// request sends a change that the library has no call for, and waits for the kernel's answer.
// As with its calls, each request has a socket of its own with a deadline of a minute
// (SocketTimeoutTv of package nl).
func request(kind, flags int, body nl.NetlinkRequestData, attrs ...*nl.RtAttr) error {
	req := nl.NewNetlinkRequest(kind, flags|unix.NLM_F_ACK)
	req.AddData(body)
	for _, a := range attrs {
		req.AddData(a)
	}
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// infoChange changes what depends on the kind of a link that is there (RTM_NEWLINK of
// rtnetlink(7)). The library's LinkModify refuses an IPoIB link that is not a child, knows
// neither the spanning tree of a bridge nor the newer options of a bond, and sends the name, too:
// with an index that means renaming, which a link that is up refuses before Linux 6.2 (EBUSY of
// dev_change_name).
func infoChange(dev string, info *nl.RtAttr) error {
	index, err := interfaceIndex(dev)
	if err != nil {
		return err
	}
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	return request(unix.RTM_NEWLINK, 0, msg, info)
}

// linkOf is a device in the form of the library. It has the index: for a link with only a name,
// each call of the library would first ask for all that the kernel knows about it.
func linkOf(dev string) (netlink.Link, error) {
	index, err := interfaceIndex(dev)
	if err != nil {
		return nil, err
	}
	return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: dev, Index: index}}, nil
}

// LinkUp sets a device up or down.
func (Kernel) LinkUp(dev string, up bool) error {
	link, err := linkOf(dev)
	switch {
	case err != nil:
		return err
	case up:
		return netlink.LinkSetUp(link)
	default:
		return netlink.LinkSetDown(link)
	}
}

// LinkMTU sets a device's MTU, in bytes.
func (Kernel) LinkMTU(dev string, mtu int) error {
	link, err := linkOf(dev)
	if err != nil {
		return err
	}
	return netlink.LinkSetMTU(link, mtu)
}

// LinkName renames a device.
func (Kernel) LinkName(dev, name string) error {
	link, err := linkOf(dev)
	if err != nil {
		return err
	}
	return netlink.LinkSetName(link, name)
}

// LinkAddr sets a device's link-layer address.
func (Kernel) LinkAddr(dev string, addr HardwareAddr) error {
	link, err := linkOf(dev)
	if err != nil {
		return err
	}
	return netlink.LinkSetHardwareAddr(link, net.HardwareAddr(addr))
}

// AddrAdd adds an address; the library adds its broadcast address, none where RFC 3021
// has none.
func (Kernel) AddrAdd(dev string, addr netip.Prefix) error {
	link, err := linkOf(dev)
	if err != nil {
		return err
	}
	err = netlink.AddrAdd(link, &netlink.Addr{IPNet: netOf(addr)})
	if errors.Is(err, unix.EEXIST) {
		return nil // the interface has it already, on the same prefix
	}
	return err
}

// AddrDel takes an address off a device.
func (Kernel) AddrDel(dev string, addr netip.Prefix) error {
	link, err := linkOf(dev)
	if err != nil {
		return err
	}
	err = netlink.AddrDel(link, &netlink.Addr{IPNet: netOf(addr)})
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil // it is not there
	}
	return err
}

// netOf is a prefix in the form of the library, with all bits of its address.
func netOf(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// RouteSet adds or replaces a route of the main table.
func (Kernel) RouteSet(r Route) error {
	route, err := routeOf(r)
	if err != nil {
		return err
	}
	return netlink.RouteReplace(route)
}

// routeOf is a route in the form of the library.
func routeOf(r Route) (*netlink.Route, error) {
	index, err := interfaceIndex(r.Dev)
	if err != nil {
		return nil, err
	}
	// The protocol and type are those with which the library adds a route. To delete a route it
	// would give none, and could delete one of the kernel's.
	route := &netlink.Route{
		LinkIndex: index, Dst: netOf(r.Dst.Masked()), Priority: r.Metric,
		Protocol: unix.RTPROT_BOOT, Type: unix.RTN_UNICAST,
	}
	if r.Via.IsValid() {
		route.Gw = r.Via.AsSlice()
	} else if r.Dst.Addr().Is4() {
		route.Scope = netlink.SCOPE_LINK
	}
	if r.OnLink {
		route.SetFlag(netlink.FLAG_ONLINK)
	}
	return route, nil
}

// Info is the part that depends on the kind of link.
func Info(kind string, data map[int][]byte) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(unix.IFLA_INFO_KIND, nl.ZeroTerminated(kind))
	nested := info.AddRtAttr(unix.IFLA_INFO_DATA, nil)
	for attr, value := range data {
		nested.AddRtAttr(attr, value)
	}
	return info
}

func u16(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }

// u32 is a number of an attribute, in the byte order of the machine.
func u32(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// madeAttrs are the attributes of a link that is to be made.
func madeAttrs(l madeLink) netlink.LinkAttrs {
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.ParentIndex = l.Name, l.Parent
	return attrs
}

// ChildAdd makes an IPoIB device of a P_Key on another one.
func (Kernel) ChildAdd(c ChildAdd) error {
	parent, err := interfaceIndex(c.Parent)
	if err != nil {
		return err
	}
	l := madeLink{Name: c.Name, Kind: "ipoib", Parent: parent, Data: map[int][]byte{nl.IFLA_IPOIB_PKEY: u16(c.PKey)}}
	return makeLink(l, func() error { return netlink.LinkAdd(&netlink.IPoIB{LinkAttrs: madeAttrs(l), Pkey: c.PKey}) })
}

// LinkMode sets datagram or connected mode of an IPoIB device.
func (Kernel) LinkMode(s SetMode) error {
	mode := netlink.IPOIB_MODE_DATAGRAM
	if s.Mode == Connected {
		mode = netlink.IPOIB_MODE_CONNECTED
	}
	return infoChange(s.Dev, Info("ipoib", map[int][]byte{nl.IFLA_IPOIB_MODE: u16(uint16(mode))}))
}

// VLANAdd makes a VLAN.
func (Kernel) VLANAdd(v VLANAdd) error {
	parent, err := interfaceIndex(v.Link)
	if err != nil {
		return err
	}
	l := madeLink{Name: v.Name, Kind: "vlan", Parent: parent, Data: map[int][]byte{nl.IFLA_VLAN_ID: u16(uint16(v.ID))}}
	return makeLink(l, func() error { return netlink.LinkAdd(&netlink.Vlan{LinkAttrs: madeAttrs(l), VlanId: v.ID}) })
}

// BridgeAdd makes a bridge. The library's Bridge has neither spanning tree nor forward delay.
func (Kernel) BridgeAdd(b BridgeAdd) error {
	data := map[int][]byte{bridgeForwardDelay: u32(0), bridgeSTPState: u32(0)}
	l := madeLink{Name: b.Name, Kind: "bridge", Data: data}
	return makeLink(l, func() error { return addLink(l, nl.NewRtAttr(unix.IFLA_ADDRESS, []byte(b.Addr))) })
}

// LinkMaster makes a device a port of a bond or bridge.
func (Kernel) LinkMaster(s SetMaster) error {
	master, err := interfaceIndex(s.Master)
	if err != nil {
		return err
	}
	port, err := linkOf(s.Dev)
	if err != nil {
		return err
	}
	return netlink.LinkSetMasterByIndex(port, master)
}

// interfaceIndex is the number by which netlink knows a device.
func interfaceIndex(dev string) (int, error) { return ask(dev, unix.SIOCGIFINDEX) }

// LinkType is the hardware type of a device (ARPHRD_*). It is returned in a struct sockaddr,
// which begins with it (netdevice(7)).
func (Kernel) LinkType(dev string) (uint16, error) {
	t, err := ask(dev, unix.SIOCGIFHWADDR)
	return uint16(t), err
}

// MTU is that of a device now, in bytes.
func (Kernel) MTU(dev string) (int, error) { return ask(dev, unix.SIOCGIFMTU) }

// ask gets one number of a device (netdevice(7)): one small system call, where a netlink lookup
// parses every attribute of the link.
func ask(dev string, what uint) (int, error) {
	ifr, err := unix.NewIfreq(dev)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.IoctlIfreq(fd, what, ifr); err != nil {
		return 0, err
	}
	return int(ifr.Uint32()), nil
}
