package wol

import (
	"bytes"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// What leaves the machine, seen at the other end of the cable: as a frame, and
// as a datagram to a broadcast address.
func TestOnTheWire(t *testing.T) {
	if !testenv.Namespace(t, 0) {
		return
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.HardwareAddr = "here", net.HardwareAddr(mac(1))
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "there"}); err != nil {
		testenv.Needs(t, false, "veth: "+err.Error())
	}
	target := Target{
		Name: "n", MAC: mac(0x57), Password: []byte{1, 2, 3, 4},
		To: netip.MustParseAddrPort("10.0.0.255:9"),
	}
	down, err := Ethernet("here")
	if err != nil {
		t.Fatal(err)
	}
	if err := down.Send(target); err == nil || err.Error() != "send on here: it is down: ip link set here up" {
		t.Errorf("on an interface that is down: %v", err)
	}
	up(t, "here", "there")
	frames := listen(t, "there")
	for _, err := range []error{down.Send(target), down.Close()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if got, want := frames(etherType), target.frame(mac(1)); !bytes.Equal(got, want) {
		t.Errorf("frame % x\nwant  % x", got, want)
	}
	datagrams, err := UDP()
	if err != nil {
		t.Fatal(err)
	}
	defer datagrams.Close() //nolint:errcheck // nothing is read
	if err := datagrams.Send(target); err == nil || !strings.Contains(err.Error(), "no route there: give --interface") {
		t.Errorf("without a route: %v", err)
	}
	here, err := netlink.LinkByName("here")
	if err == nil {
		err = netlink.AddrAdd(here, &netlink.Addr{
			IPNet:     &net.IPNet{IP: net.IPv4(10, 0, 0, 1), Mask: net.CIDRMask(24, 32)},
			Broadcast: net.IPv4(10, 0, 0, 255),
		})
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := datagrams.Send(target); err != nil {
		t.Fatal(err)
	}
	got := frames(unix.ETH_P_IP)
	if len(got) < 14+20+8 || !bytes.Equal(got[:6], broadcast()) || !bytes.Equal(got[30:34], []byte{10, 0, 0, 255}) ||
		got[36] != 0 || got[37] != Port || !bytes.Equal(got[42:], target.Packet()) {
		t.Errorf("datagram % x", got)
	}
}

// Interfaces that cannot send are told by name.
func TestEthernetRefuses(t *testing.T) {
	for name, want := range map[string]string{
		"nosuch0": `interface "nosuch0": there is none of that name: ip link lists them`,
		"lo":      "interface lo is not Ethernet",
	} {
		if _, err := Ethernet(name); err == nil || err.Error() != want {
			t.Errorf("%s: %v; want %s", name, err, want)
		}
	}
}

// up sets interfaces up, and waits until they send: the kernel opens their queues some time
// after it says that they are up, and drops until then without an error (linkwatch_do_dev of
// net/core/link_watch.c; the message of the new state follows).
func up(t *testing.T, names ...string) {
	t.Helper()
	done := make(chan struct{})
	defer close(done)
	news := make(chan netlink.LinkUpdate, 16)
	if err := netlink.LinkSubscribe(news, done); err != nil {
		t.Fatal(err)
	}
	waiting := make(map[string]bool)
	for _, name := range names {
		l, err := netlink.LinkByName(name)
		if err == nil {
			err = netlink.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
		waiting[name] = true
	}
	deadline := time.After(time.Minute)
	for len(waiting) > 0 {
		select {
		case n := <-news:
			if a := n.Attrs(); a.OperState == netlink.OperUp {
				delete(waiting, a.Name)
			}
		case <-deadline:
			t.Fatalf("after a minute not up: %v", waiting)
		}
	}
}

// listen returns a function that waits for a frame of an EtherType.
func listen(t *testing.T, name string) func(etherType uint16) []byte {
	t.Helper()
	i, err := net.InterfaceByName(name)
	if err != nil {
		t.Fatal(err)
	}
	all := uint16(unix.ETH_P_ALL)
	order := all<<8 | all>>8 // packet(7): in network byte order
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(order))
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: order, Ifindex: i.Index})
	}
	if err == nil {
		wait := unix.NsecToTimeval(int64(10 * time.Second))
		err = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return func(etherType uint16) []byte {
		b := make([]byte, 2048)
		for {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if err != nil {
				t.Fatalf("wait for a frame of type %04x: %v", etherType, err)
			}
			if n > 14 && b[12] == byte(etherType>>8) && b[13] == byte(etherType) {
				return b[:n]
			}
		}
	}
}
