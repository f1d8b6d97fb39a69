package wol

import (
	"errors"
	"fmt"
	"net"
	"syscall"
)

// Port is discard: nobody answers (RFC 863).
const Port = 9

// A Sender sends magic packets.
type Sender struct {
	Send  func(Target) error
	Close func() error
}

// UDP makes a sender of datagrams to the targets' broadcast addresses. It needs
// no privilege. Routers pass a directed broadcast on only where they are told to.
func UDP() (Sender, error) {
	// package net sets SO_BROADCAST on its UDP sockets.
	c, err := net.ListenUDP("udp4", nil)
	if err != nil {
		return Sender{}, fmt.Errorf("open UDP socket: %w", err)
	}
	send := func(t Target) error {
		_, err := c.WriteToUDPAddrPort(t.Packet(), t.To)
		switch {
		case errors.Is(err, syscall.ENETUNREACH):
			return fmt.Errorf("send to %v: this machine has no route there: give --interface, or --to with the "+
				"broadcast address of a network of its own", t.To)
		case errors.Is(err, syscall.EACCES):
			return fmt.Errorf("send to %v: not allowed (a firewall, or not a broadcast address of this "+
				"machine's networks)", t.To)
		case err != nil:
			return fmt.Errorf("send to %v: %w", t.To, err)
		}
		return nil
	}
	return Sender{Send: send, Close: c.Close}, nil
}
