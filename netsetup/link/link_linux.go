package link

import (
	"encoding/binary"
	"errors"
	"net/netip"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// The attributes of the kinds of links in include/uapi/linux/if_link.h that are
// used here. Those of bonds are in bondTable and in link_bond_linux.go.
const (
	ipoibPKey = 1
	ipoibMode = 2

	vlanID = 1 // IFLA_VLAN_ID

	BridgeForwardDelay = 1 // IFLA_BR_FORWARD_DELAY
	BridgeSTPState     = 5 // IFLA_BR_STP_STATE
)

// Request sends one change to the kernel and waits for its answer. The messages
// are put together here from the parts of the library's package nl: its calls
// for links, addresses and routes know all kinds of them, also how to read them
// back, and would be two percent of /init.
func Request(kind, flags int, body nl.NetlinkRequestData, attrs ...*nl.RtAttr) error {
	req := nl.NewNetlinkRequest(kind, flags|unix.NLM_F_ACK)
	req.AddData(body)
	for _, a := range attrs {
		req.AddData(a)
	}
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// linkChange changes a link that is there (RTM_NEWLINK of rtnetlink(7)). Of
// flags those of mask are set or cleared.
func linkChange(dev string, flags, mask uint32, attrs ...*nl.RtAttr) error {
	index, err := InterfaceIndex(dev)
	if err != nil {
		return err
	}
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index, msg.Flags, msg.Change = int32(index), flags, mask
	return Request(unix.RTM_NEWLINK, 0, msg, attrs...)
}

const create = unix.NLM_F_CREATE | unix.NLM_F_EXCL

// LinkUp sets a device up or down.
func (Kernel) LinkUp(dev string, up bool) error {
	if up {
		return linkChange(dev, unix.IFF_UP, unix.IFF_UP)
	}
	return linkChange(dev, 0, unix.IFF_UP)
}

// LinkMTU sets a device's MTU, in bytes.
func (Kernel) LinkMTU(dev string, mtu int) error {
	return linkChange(dev, 0, 0, nl.NewRtAttr(unix.IFLA_MTU, U32(mtu)))
}

// LinkName renames a device.
func (Kernel) LinkName(dev, name string) error {
	return linkChange(dev, 0, 0, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name)))
}

// LinkAddr sets a device's link-layer address.
func (Kernel) LinkAddr(dev string, addr HardwareAddr) error {
	return linkChange(dev, 0, 0, nl.NewRtAttr(unix.IFLA_ADDRESS, []byte(addr)))
}

// AddrAdd adds an address with its broadcast address (RTM_NEWADDR).
func (Kernel) AddrAdd(dev string, addr netip.Prefix) error {
	err := addrChange(unix.RTM_NEWADDR, create, dev, addr)
	if errors.Is(err, unix.EEXIST) {
		return nil // the interface has it already, on the same prefix
	}
	return err
}

// AddrDel takes an address off a device.
func (Kernel) AddrDel(dev string, addr netip.Prefix) error {
	err := addrChange(unix.RTM_DELADDR, 0, dev, addr)
	if errors.Is(err, unix.EADDRNOTAVAIL) {
		return nil // it is not there
	}
	return err
}

func addrChange(kind, flags int, dev string, addr netip.Prefix) error {
	index, err := InterfaceIndex(dev)
	if err != nil {
		return err
	}
	a := addr.Addr()
	msg := nl.NewIfAddrmsg(family(a))
	msg.Prefixlen, msg.Index = uint8(addr.Bits()), uint32(index)
	attrs := []*nl.RtAttr{nl.NewRtAttr(unix.IFA_LOCAL, a.AsSlice()), nl.NewRtAttr(unix.IFA_ADDRESS, a.AsSlice())}
	if a.Is4() && addr.Bits() < 31 { // RFC 3021
		attrs = append(attrs, nl.NewRtAttr(unix.IFA_BROADCAST, broadcast(addr).AsSlice()))
	}
	return Request(kind, flags, msg, attrs...)
}

// family is the kernel's number of the address family.
func family(a netip.Addr) int {
	if a.Is6() {
		return unix.AF_INET6
	}
	return unix.AF_INET
}

// RouteSet adds or replaces a route of the main table (RTM_NEWROUTE).
func (Kernel) RouteSet(r Route) error {
	msg, attrs, err := routeMessage(r)
	if err != nil {
		return err
	}
	return Request(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_REPLACE, msg, attrs...)
}

// routeMessage is a route in the form of rtnetlink(7).
func routeMessage(r Route) (*nl.RtMsg, []*nl.RtAttr, error) {
	index, err := InterfaceIndex(r.Dev)
	if err != nil {
		return nil, nil, err
	}
	msg := nl.NewRtMsg()
	msg.Family, msg.Dst_len = uint8(family(r.Dst.Addr())), uint8(r.Dst.Bits())
	attrs := []*nl.RtAttr{nl.NewRtAttr(unix.RTA_OIF, U32(index))}
	if r.Dst.Bits() > 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_DST, r.Dst.Masked().Addr().AsSlice()))
	}
	if r.Via.IsValid() {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_GATEWAY, r.Via.AsSlice()))
	} else if r.Dst.Addr().Is4() {
		msg.Scope = unix.RT_SCOPE_LINK
	}
	if r.OnLink {
		msg.Flags = unix.RTNH_F_ONLINK
	}
	if r.Metric != 0 {
		attrs = append(attrs, nl.NewRtAttr(unix.RTA_PRIORITY, U32(r.Metric)))
	}
	return msg, attrs, nil
}

// LinkInfo is the part that depends on the kind of link.
func LinkInfo(kind string, data map[int][]byte) *nl.RtAttr {
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(unix.IFLA_INFO_KIND, nl.ZeroTerminated(kind))
	nested := info.AddRtAttr(unix.IFLA_INFO_DATA, nil)
	for attr, value := range data {
		nested.AddRtAttr(attr, value)
	}
	return info
}

func u16(v uint16) []byte { return binary.NativeEndian.AppendUint16(nil, v) }

// U32 is a number of an attribute, in the byte order of the machine.
func U32(v int) []byte { return binary.NativeEndian.AppendUint32(nil, uint32(v)) }

// ChildAdd makes a P_Key child of an IPoIB device.
func (Kernel) ChildAdd(c ChildAdd) error {
	parent, err := InterfaceIndex(c.Parent)
	if err != nil {
		return err
	}
	return LinkMake(MadeLink{Name: c.Name, Kind: "ipoib", Parent: parent, Data: map[int][]byte{ipoibPKey: u16(c.PKey)}})
}

// LinkMode sets datagram or connected mode of an IPoIB device.
func (Kernel) LinkMode(s LinkMode) error {
	mode := uint16(0)
	if s.Mode == Connected {
		mode = 1
	}
	return linkChange(s.Dev, 0, 0, LinkInfo("ipoib", map[int][]byte{ipoibMode: u16(mode)}))
}

// VLANAdd makes a VLAN.
func (Kernel) VLANAdd(v VLANAdd) error {
	parent, err := InterfaceIndex(v.Link)
	if err != nil {
		return err
	}
	return LinkMake(MadeLink{Name: v.Name, Kind: "vlan", Parent: parent, Data: map[int][]byte{vlanID: u16(uint16(v.ID))}})
}

// BridgeAdd makes a bridge.
func (Kernel) BridgeAdd(b BridgeAdd) error {
	data := map[int][]byte{BridgeForwardDelay: U32(0), BridgeSTPState: U32(0)}
	return LinkMake(MadeLink{Name: b.Name, Kind: "bridge", Data: data}, nl.NewRtAttr(unix.IFLA_ADDRESS, []byte(b.Addr)))
}

// LinkMaster makes a device a port of a bond or bridge.
func (Kernel) LinkMaster(s LinkMaster) error {
	master, err := InterfaceIndex(s.Master)
	if err != nil {
		return err
	}
	return linkChange(s.Dev, 0, 0, nl.NewRtAttr(unix.IFLA_MASTER, U32(master)))
}

// InterfaceIndex is the number by which netlink knows a device.
func InterfaceIndex(dev string) (int, error) { return ask(dev, unix.SIOCGIFINDEX) }

// LinkType: what the type is in is a struct sockaddr, which begins with it (netdevice(7)).
func (Kernel) LinkType(dev string) (uint16, error) {
	t, err := ask(dev, unix.SIOCGIFHWADDR)
	return uint16(t), err
}

// MTU is that of a device now, in bytes.
func (Kernel) MTU(dev string) (int, error) { return ask(dev, unix.SIOCGIFMTU) }

// ask gets one number of a device (netdevice(7)): one small system call where a
// netlink lookup parses every attribute of the link.
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
