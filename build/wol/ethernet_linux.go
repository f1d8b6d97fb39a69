package wol

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Ethernet makes a sender of frames on an interface. It needs root, or
// CAP_NET_RAW (packet(7)).
func Ethernet(name string) (Sender, error) {
	i, err := net.InterfaceByName(name)
	switch {
	case err != nil:
		return Sender{}, fmt.Errorf("interface %q: there is none of that name: ip link lists them", name)
	case len(i.HardwareAddr) == 20:
		return Sender{}, fmt.Errorf("interface %s is InfiniBand: no machine can be woken through it, give the "+
			"Ethernet interface", name)
	case len(i.HardwareAddr) != 6:
		return Sender{}, fmt.Errorf("interface %s is not Ethernet", name)
	}
	// Protocol 0: nothing is received.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.EPERM):
		return Sender{}, errors.New("send Ethernet frames: only root (or CAP_NET_RAW) may: run it as root, or send " +
			"by UDP, --via udp")
	case err != nil:
		return Sender{}, fmt.Errorf("open packet socket: %w", err)
	}
	source := link.HardwareAddr(i.HardwareAddr)
	to := &unix.SockaddrLinklayer{Ifindex: i.Index, Halen: 6}
	copy(to.Addr[:], broadcast())
	send := func(t Target) error {
		err := unix.Sendto(fd, t.frame(source), 0, to)
		switch {
		case errors.Is(err, unix.ENETDOWN):
			return fmt.Errorf("send on %s: it is down: ip link set %s up", name, name)
		case err != nil:
			return fmt.Errorf("send on %s: %w", name, err)
		}
		return nil
	}
	return Sender{Send: send, Close: func() error { return unix.Close(fd) }}, nil
}
