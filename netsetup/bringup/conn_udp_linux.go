package bringup

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A udpHolder is the UDP socket beside the packet socket of DHCP. While it is open somebody
// listens on port 68, so the kernel does not answer "port unreachable" to what is sent to the
// address of the interface, such as the ACK of a renewal. It receives nothing: the packet socket
// gets all of it. It also sends what the kernel can deliver better than the packet socket,
// because the kernel knows neighbours and routes.
type udpHolder struct {
	fd    int // -1 where another process has the port, or it is closed
	index int // of the interface
}

// openHolder opens the socket. If another process has the port, that is as good: the socket
// serves only to hold it.
func openHolder(d link.Device) (*udpHolder, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	drop := []unix.SockFilter{{Code: unix.BPF_RET | unix.BPF_K, K: 0}}
	err = unix.SetsockoptSockFprog(
		fd,
		unix.SOL_SOCKET,
		unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: 1, Filter: &drop[0]},
	)
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1) // one socket per interface
	}
	if err == nil {
		err = unix.BindToDevice(fd, d.Name)
	}
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Port: lease.ClientPort})
	}
	switch {
	case errors.Is(err, unix.EADDRINUSE):
		_ = unix.Close(fd)
		return &udpHolder{fd: -1, index: d.Index}, nil
	case err != nil:
		_ = unix.Close(fd)
		return nil, fmt.Errorf("listen on port %d: %w", lease.ClientPort, err)
	}
	return &udpHolder{fd: fd, index: d.Index}, nil
}

// send sends from an address of this node to a server, by the kernel's routes and neighbours on
// the interface. It is an error if the address is not one of this node's
// (ip_route_output_key_hash of net/ipv4/route.c), or no route leads there.
func (h *udpHolder) send(src, dst netip.Addr, payload []byte) error {
	if h.fd < 0 {
		return unix.EBADF
	}
	oob := unix.PktInfo4(&unix.Inet4Pktinfo{Ifindex: int32(h.index), Spec_dst: src.As4()})
	return unix.Sendmsg(h.fd, payload, oob, &unix.SockaddrInet4{Port: lease.ServerPort, Addr: dst.As4()}, 0)
}

func (h *udpHolder) Close() error {
	if h.fd < 0 {
		return nil
	}
	err := unix.Close(h.fd)
	h.fd = -1
	return err
}
