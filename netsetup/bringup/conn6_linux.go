package bringup

import (
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// The ports of RFC 8415 section 7.2.
const (
	client6Port = 546
	server6Port = 547
)

// A udp6Conn sends and receives DHCPv6. It can be opened before the interface has its link-local
// address; sending before that is an error, and the message is sent again.
type udp6Conn struct {
	file *os.File
	raw  syscall.RawConn
	dev  link.Device
	buf  []byte
}

var _ wire = (*udp6Conn)(nil)

func openUDP6(d link.Device) (*udp6Conn, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "dhcpv6")
	c := &udp6Conn{file: file, dev: d, buf: make([]byte, receiveBuffer)}
	c.raw, err = file.SyscallConn()
	for _, option := range [][3]int{
		{unix.SOL_SOCKET, unix.SO_REUSEADDR, 1}, // one socket per interface
		{unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1},
	} {
		if err == nil {
			err = unix.SetsockoptInt(fd, option[0], option[1], option[2])
		}
	}
	if err == nil {
		err = unix.BindToDevice(fd, d.Name)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet6{Port: client6Port})
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return c, nil
}

// send sends to all relays and servers on the link (ff02::1:2).
func (c *udp6Conn) Send(m lease.Message) error {
	to := unix.SockaddrInet6{
		Port: server6Port, ZoneId: uint32(c.dev.Index),
		Addr: [16]byte{0: 0xff, 1: 0x02, 13: 1, 15: 2},
	}
	var err error
	if cerr := c.raw.Write(func(fd uintptr) bool {
		err = unix.Sendto(int(fd), m.Payload, 0, &to)
		return err != unix.EAGAIN
	}); cerr != nil {
		return cerr
	}
	return err
}

func (c *udp6Conn) Receive() (lease.Packet, error) {
	for {
		var (
			n    int
			from unix.Sockaddr
			rerr error
		)
		err := c.raw.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), c.buf, 0)
			return rerr != unix.EAGAIN
		})
		switch rerr {
		case nil:
		case unix.EINTR, unix.ENETDOWN, unix.ENOBUFS, unix.ECONNREFUSED:
			continue
		default:
			return lease.Packet{}, rerr
		}
		if err != nil {
			return lease.Packet{}, err
		}
		// RFC 8415 section 7.2 says on which ports to listen; servers and relays may send from
		// others.
		if a, ok := from.(*unix.SockaddrInet6); ok {
			return lease.Packet{Payload: append([]byte(nil), c.buf[:n]...), Src: netip.AddrFrom16(a.Addr)}, nil
		}
	}
}

// Close ends a pending receive at once.
func (c *udp6Conn) Close() error {
	err := c.file.SetReadDeadline(time.Unix(1, 0))
	_ = c.file.Close()
	return err
}

// Solicit6 sends a router solicitation (RFC 4861 section 4.1) to all routers on the link; the
// kernel handles the answers. The hop limit must be 255. github.com/mdlayher/ndp would add 129
// KiB to /init for these eight bytes.
func (kernel) Solicit6(d link.Device) error {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_ICMPV6)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 255); err != nil {
		return err
	}
	const solicitation = 133 // type; then code, checksum (the kernel's) and 4 reserved bytes
	to := unix.SockaddrInet6{ZoneId: uint32(d.Index), Addr: [16]byte{0: 0xff, 1: 0x02, 15: 2}}
	return unix.Sendto(fd, []byte{solicitation, 0, 0, 0, 0, 0, 0, 0}, 0, &to)
}
