package fabric

import (
	"errors"
	"fmt"
	"net"

	"golang.org/x/sys/unix"
)

// etherOrder is the type of the frames by which softib is told what its adapters
// are like from now on (SIB_ORDER_TYPE of softib/order.c).
const etherOrder = 0x88b6

// sendOrder sends the text, a parameter of softib and its value (NAME=VALUE), to the
// NIC with that address on a fabric's bridge. Nobody answers.
func sendOrder(bridge, mac, text string) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("send order %q to %s: %w", text, mac, err)
		}
	}()
	to, err := net.ParseMAC(mac)
	if err != nil {
		return err
	}
	dev, err := net.InterfaceByName(bridge)
	if err != nil {
		return err
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unix.Close(fd)) }()
	addr := &unix.SockaddrLinklayer{
		Protocol: etherOrder>>8 | etherOrder&0xff<<8, Ifindex: dev.Index,
		Halen: uint8(len(to)),
	}
	copy(addr.Addr[:], to)
	return unix.Sendto(fd, []byte(text), 0, addr)
}
