package integration

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// etherSoftib is the type of softib's frames (SIB_ETHERTYPE of softib/softib.h).
const etherSoftib = 0x88b5

// renewals are the messages by which nodes of a fabric prolong their leases, as they
// pass its cable.
type renewals struct {
	file *os.File
	done chan struct{}
	seen map[netip.Addr][]bool // by client, whether each was for one node
}

// watchRenewals listens on a fabric's bridge, which gets all frames, until check.
func watchRenewals(t *testing.T, bridge string) *renewals {
	t.Helper()
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	r := &renewals{file: os.NewFile(uintptr(fd), "packet"), done: make(chan struct{}), seen: map[netip.Addr][]bool{}}
	dev, err := net.InterfaceByName(bridge)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: etherSoftib>>8 | etherSoftib&0xff<<8, Ifindex: dev.Index})
	}
	if err != nil {
		t.Fatal(errors.Join(err, r.file.Close()))
	}
	t.Cleanup(func() {
		if err := r.file.Close(); err != nil {
			t.Error(err)
		}
	})
	go func() {
		defer close(r.done)
		frame := make([]byte, 8192)
		for {
			n, err := r.file.Read(frame)
			if err != nil {
				return
			}
			if client, unicast, ok := renewalOf(frame[:n]); ok {
				r.seen[client] = append(r.seen[client], unicast)
			}
		}
	}()
	return r
}

// check ends it, and looks whether the client's messages went to its server alone.
func (r *renewals) check(t *testing.T, client string) {
	t.Helper()
	if err := r.file.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Error(err)
	}
	<-r.done
	seen := r.seen[netip.MustParseAddr(client)]
	if len(seen) == 0 {
		t.Errorf("%s has not prolonged its lease", client)
	}
	for i, unicast := range seen {
		if !unicast {
			t.Errorf("message %d of %d by which %s prolongs its lease went to everybody", i+1, len(seen), client)
		}
	}
}
