package bringup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// receiveBuffer is larger than maxMessage, which servers have to respect.
const receiveBuffer = 4096

// A packetConn sends and receives DHCP, ARP or RARP on an interface that has no address:
// packet(7), SOCK_DGRAM, so that the kernel makes the link-layer header for any type of link. Not
// by github.com/mdlayher/packet, which refuses to send to addresses of more than 8 bytes
// (InfiniBand has 20) and does not receive PACKET_AUXDATA.
type packetConn struct {
	via   lease.Channel
	file  *os.File
	raw   syscall.RawConn
	udp   *udpHolder // of channelDHCP
	dev   link.Device
	buf   []byte
	oob   []byte
	bcast link.HardwareAddr
}

var _ wire = (*packetConn)(nil)

// sockaddrLL is struct sockaddr_ll of include/uapi/linux/if_packet.h with room
// for an InfiniBand address; the kernel takes it by its length (packet_sendmsg:
// namelen >= offset of sll_addr plus the device's address length).
type sockaddrLL struct {
	family   uint16
	protocol uint16 // big-endian
	index    int32
	hatype   uint16
	pkttype  uint8
	halen    uint8
	addr     [20]byte
}

// The size holds the 12 bytes before the address and 20 of it.
var _ [32]byte = [unsafe.Sizeof(sockaddrLL{})]byte{}

// open makes the socket deaf, gives it its filter, and only then binds it to the protocol, so no
// other packet gets in between.
func (kernel) open(d link.Device, via lease.Channel) (wire, error) {
	var w wire
	var err error
	if via == lease.ChannelDHCP6 {
		w, err = openUDP6(d)
	} else {
		w, err = openPacket(d, via)
	}
	if err != nil {
		return nil, fmt.Errorf("open socket for %s on %s: %w", via, d.Name, err)
	}
	return w, nil
}

func openPacket(d link.Device, via lease.Channel) (*packetConn, error) {
	if len(d.Broadcast) > len(sockaddrLL{}.addr) || d.Broadcast == "" {
		return nil, fmt.Errorf("a broadcast address of %d bytes", len(d.Broadcast))
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "packet")
	c := &packetConn{
		via:   via,
		file:  file,
		dev:   d,
		buf:   make([]byte, receiveBuffer),
		oob:   make([]byte, unix.CmsgSpace(sizeofAuxdata)),
		bcast: d.Broadcast, // on IPoIB it holds the P_Key
	}
	c.raw, err = file.SyscallConn()
	if err == nil && via == lease.ChannelDHCP {
		filter := dhcpFilter()
		err = unix.SetsockoptSockFprog(
			fd,
			unix.SOL_SOCKET,
			unix.SO_ATTACH_FILTER,
			&unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]},
		)
	}
	if err == nil {
		// Answers to hundreds of nodes are broadcast, and arrive while this node is busy. Without
		// CAP_NET_ADMIN the ordinary size, some 150 packets, must do.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, link.WatchBuffer)
		err = unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: hostToNet(via.EtherType()), Ifindex: d.Index})
	}
	if err == nil && via == lease.ChannelDHCP {
		c.udp, err = openHolder(d)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return c, nil
}

// hostToNet gives the value whose native bytes are v in network order.
func hostToNet(v uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, v))
}

// dhcpFilter lets unfragmented UDP to port 68 pass; the packet begins with the
// IP header. In the language of tcpdump: udp dst port 68.
func dhcpFilter() []unix.SockFilter {
	const (
		loadByte      = unix.BPF_LD | unix.BPF_B | unix.BPF_ABS
		loadHalf      = unix.BPF_LD | unix.BPF_H | unix.BPF_ABS
		loadHeaderLen = unix.BPF_LDX | unix.BPF_B | unix.BPF_MSH
		loadIndirect  = unix.BPF_LD | unix.BPF_H | unix.BPF_IND
		jumpEqual     = unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K
		jumpSet       = unix.BPF_JMP | unix.BPF_JSET | unix.BPF_K
		ret           = unix.BPF_RET | unix.BPF_K
	)
	return []unix.SockFilter{
		{Code: loadByte, K: 9},
		{Code: jumpEqual, K: lease.ProtocolUDP, Jf: 6},
		{Code: loadHalf, K: 6},
		{Code: jumpSet, K: 0x3fff, Jt: 4}, // more fragments, or an offset
		{Code: loadHeaderLen, K: 0},
		{Code: loadIndirect, K: 2},
		{Code: jumpEqual, K: lease.ClientPort, Jf: 1},
		{Code: ret, K: 1 << 18},
		{Code: ret, K: 0},
	}
}

// Close ends a pending receive at once. The descriptor is closed later: the kernel releases a
// packet socket only after a grace period of 10 to 30 ms (packet_release calls synchronize_net),
// for which no boot should wait.
func (c *packetConn) Close() error {
	err := c.file.SetReadDeadline(time.Unix(1, 0))
	if c.udp != nil {
		err = errors.Join(err, c.udp.Close())
	}
	go func() { _ = c.file.Close() }()
	return err
}

func (c *packetConn) Send(m lease.Message) error {
	packet, to := m.Payload, m.To
	if c.via == lease.ChannelDHCP {
		src, dst := m.Src, m.Dst
		// IPoIB does not tell who sent a packet (ipoib does not parse headers): to a server of
		// which only the address is known then, the kernel finds the route. From an address that
		// is not this node's, because it is being given back, it does not: that is sent to
		// everybody.
		if to == "" && src.IsValid() && dst.IsValid() && c.udp.send(src, dst, m.Payload) == nil {
			return nil
		}
		if !src.IsValid() {
			src = netip.IPv4Unspecified()
		}
		if !dst.IsValid() {
			dst = netip.AddrFrom4([4]byte{255, 255, 255, 255})
		}
		packet = lease.AppendUDP(make([]byte, 0, lease.IPHeaderLen+lease.UDPHeaderLen+len(m.Payload)),
			netip.AddrPortFrom(src, lease.ClientPort), netip.AddrPortFrom(dst, lease.ServerPort), m.Payload)
	}
	if len(packet) == 0 {
		return errors.New("nothing to send")
	}
	if to == "" {
		to = c.bcast
	}
	sa := sockaddrLL{
		family:   unix.AF_PACKET,
		protocol: hostToNet(c.via.EtherType()),
		index:    int32(c.dev.Index),
		halen:    uint8(len(to)),
	}
	copy(sa.addr[:], to)
	var errno syscall.Errno
	err := c.raw.Write(func(fd uintptr) bool {
		// x/sys/unix has no sockaddr_ll with more than 8 bytes of address.
		_, _, errno = unix.Syscall6(unix.SYS_SENDTO, fd, uintptr(unsafe.Pointer(&packet[0])), uintptr(len(packet)), 0,
			uintptr(unsafe.Pointer(&sa)), unsafe.Sizeof(sa))
		return errno != unix.EAGAIN
	})
	if err == nil && errno != 0 {
		err = errno
	}
	if err != nil {
		return fmt.Errorf("send on %s: %w", c.dev.Name, err)
	}
	return nil
}

// sizeofAuxdata is the size of struct tpacket_auxdata, whose fields are
// status, len, snaplen (32 bits), mac, net, vlan_tci, vlan_tpid (16 bits).
const sizeofAuxdata = 20

// Receive returns the next packet; for DHCP, the payload of the datagram. It belongs to the
// caller.
func (c *packetConn) Receive() (lease.Packet, error) {
	for {
		var (
			n, oobn int
			from    unix.Sockaddr
			rerr    error
		)
		err := c.raw.Read(func(fd uintptr) bool {
			n, oobn, _, from, rerr = unix.Recvmsg(int(fd), c.buf, c.oob, 0)
			return !errors.Is(rerr, unix.EAGAIN)
		})
		switch {
		case err != nil:
			return lease.Packet{}, err
		case errors.Is(rerr, unix.ENETDOWN), errors.Is(rerr, unix.EINTR), errors.Is(rerr, unix.ENOBUFS):
			continue // reported once; the socket works again when the link does
		case rerr != nil:
			return lease.Packet{}, fmt.Errorf("receive on %s: %w", c.dev.Name, rerr)
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		if !ok || ll.Pkttype == unix.PACKET_OUTGOING || ll.Pkttype == unix.PACKET_OTHERHOST {
			continue
		}
		sumReady, tagged := parseAuxdata(c.oob[:oobn])
		if tagged {
			continue // from another VLAN's server
		}
		payload := c.buf[:n]
		if c.via == lease.ChannelDHCP {
			var dst netip.AddrPort
			if _, dst, payload, err = lease.ParseUDP(payload, sumReady); err != nil || dst.Port() != lease.ClientPort {
				continue
			}
		}
		return lease.Packet{
			Payload: append(
				[]byte(nil),
				payload...),
			From:    link.HardwareAddr(ll.Addr[:min(int(ll.Halen), len(ll.Addr))]),
			Unicast: ll.Pkttype == unix.PACKET_HOST,
		}, nil
	}
}

// parseAuxdata reports whether checksums are complete and whether the frame has a VLAN tag that
// the card stripped.
func parseAuxdata(oob []byte) (sumReady, tagged bool) {
	sumReady = true
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return sumReady, false
	}
	for _, m := range messages {
		if m.Header.Level != unix.SOL_PACKET || m.Header.Type != unix.PACKET_AUXDATA || len(m.Data) < sizeofAuxdata {
			continue
		}
		status := binary.NativeEndian.Uint32(m.Data)
		tci := binary.NativeEndian.Uint16(m.Data[16:])
		sumReady = status&unix.TP_STATUS_CSUMNOTREADY == 0
		// VLAN 0 is only a priority.
		tagged = status&unix.TP_STATUS_VLAN_VALID != 0 && tci&0xfff != 0
	}
	return sumReady, tagged
}
