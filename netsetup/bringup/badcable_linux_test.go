package bringup

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A badCable has a box in its middle that passes frames on by packet sockets,
// and does to each what its fault says. So the sockets and the kernels of both
// ends are real. The box is a namespace without addresses of its own.
type badCable struct {
	*cable // the end of the server
	middle int
	fault  fault
	begun  time.Time

	mu     sync.Mutex
	frames []dhcpFrame
	timers []*time.Timer
	closed bool
}

// A fault says what becomes of a frame: it leaves the box as many times as
// there are deliveries. at is the time since the cable was made.
type fault func(at time.Duration, toServer bool, frame []byte) []delivery

type delivery struct {
	frame []byte
	after time.Duration
}

// A dhcpFrame is a DHCP message that came to the box.
type dhcpFrame struct {
	at       time.Duration
	toServer bool
	lost     bool
	*dhcpv4.DHCPv4
}

func pass(frame []byte) []delivery { return []delivery{{frame: frame}} }

// chance is a fault that happens to some frames. Each direction has its own
// generator, so that what happens to one does not depend on the other.
func chance(percent int, seed uint64, happen func(r *rand.Rand, frame []byte) []delivery) fault {
	generators := map[bool]*rand.Rand{false: rand.New(rand.NewPCG(seed, 0)), true: rand.New(rand.NewPCG(seed, 1))}
	return func(_ time.Duration, toServer bool, frame []byte) []delivery {
		r := generators[toServer]
		if r.IntN(100) >= percent {
			return pass(frame)
		}
		return happen(r, frame)
	}
}

// loses drops frames.
func loses(percent int, seed uint64) fault {
	return chance(percent, seed, func(*rand.Rand, []byte) []delivery { return nil })
}

// corrupts flips a bit anywhere.
func corrupts(percent int, seed uint64) fault {
	return chance(percent, seed, func(r *rand.Rand, frame []byte) []delivery {
		frame[r.IntN(len(frame))] ^= 1 << r.IntN(8)
		return pass(frame)
	})
}

// duplicates passes frames twice, the second one late.
func duplicates(percent int, seed uint64, late time.Duration) fault {
	return chance(percent, seed, func(r *rand.Rand, frame []byte) []delivery {
		return []delivery{{frame: frame}, {frame, time.Duration(r.Int64N(int64(late)))}}
	})
}

// delays passes frames late by up to a time, and so out of their order.
func delays(percent int, seed uint64, late time.Duration) fault {
	return chance(percent, seed, func(r *rand.Rand, frame []byte) []delivery {
		return []delivery{{frame, time.Duration(r.Int64N(int64(late)))}}
	})
}

// forwardsAfter is the port of a switch with spanning tree: carrier at once, and
// every frame is dropped while it listens and learns.
func forwardsAfter(t time.Duration) fault {
	return func(at time.Duration, _ bool, frame []byte) []delivery {
		if at < t {
			return nil
		}
		return pass(frame)
	}
}

// newNamespace makes a network namespace that lives as long as the test.
func newNamespace(t *testing.T) int {
	t.Helper()
	made := make(chan int)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		fd := -1
		if err := unix.Unshare(unix.CLONE_NEWNET); err == nil {
			fd, _ = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
			// The box shall say nothing by itself.
			_ = os.WriteFile("/proc/sys/net/ipv6/conf/default/disable_ipv6", []byte("1"), 0)
		}
		made <- fd
	}()
	fd := <-made
	if fd < 0 {
		t.Fatal("no further network namespace")
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	return fd
}

// newBadCable makes the device dev here, and the other end with the server's
// address; both have carrier.
func newBadCable(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix, f fault) *badCable {
	t.Helper()
	b := &badCable{middle: newNamespace(t), fault: f}
	box := &cable{t: t, ns: b.middle}
	far := "far-" + dev
	box.in(func() { b.cable = newCable(t, far, macB, server) })
	if b.cable == nil {
		t.FailNow()
	}
	b.box, b.near = box, "near-"+dev
	b.plug(true)
	attrs := netlink.NewLinkAttrs()
	attrs.Name = dev
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: b.near, PeerNamespace: netlink.NsFd(b.middle)}
	veth.HardwareAddr = []byte(mac)
	if err := netlink.LinkAdd(veth); err != nil {
		t.Fatalf("make %s: %v", dev, err)
	}
	b.start(box, far)
	return b
}

// start opens both ends of the box and passes frames on until the test ends.
func (b *badCable) start(box *cable, far string) {
	var (
		ends [2]*os.File
		errs [2]error
	)
	box.in(func() {
		for i, name := range []string{b.near, far} {
			ends[i], errs[i] = openEnd(name)
		}
	})
	for _, err := range errs {
		if err != nil {
			b.t.Fatal(err)
		}
	}
	b.begun = time.Now()
	var wg sync.WaitGroup
	wg.Go(func() { b.forward(ends[0], ends[1], true) })
	wg.Go(func() { b.forward(ends[1], ends[0], false) })
	b.t.Cleanup(func() {
		b.mu.Lock()
		b.closed = true
		for _, timer := range b.timers {
			timer.Stop()
		}
		b.mu.Unlock()
		_ = ends[0].Close()
		_ = ends[1].Close()
		wg.Wait()
		if b.t.Failed() {
			b.t.Logf("on the cable:\n%s", b)
		}
	})
}

// sizeofVnetHdr is the size of struct virtio_net_hdr of
// include/uapi/linux/virtio_net.h: flags, gso_type (bytes), hdr_len, gso_size,
// csum_start, csum_offset (16 bits).
const sizeofVnetHdr = 10

// openEnd sets a link up and opens it for all frames that come in. The header
// in front of each says whether its checksum has been left to the card.
func openEnd(name string) (*os.File, error) {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return nil, fmt.Errorf("find %s: %w", name, err)
	}
	if err := netlink.LinkSetUp(l); err != nil {
		return nil, fmt.Errorf("set %s up: %w", name, err)
	}
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	for _, option := range []int{unix.PACKET_IGNORE_OUTGOING, unix.PACKET_VNET_HDR} {
		if err := unix.SetsockoptInt(fd, unix.SOL_PACKET, option, 1); err != nil {
			return nil, fmt.Errorf("packet socket option %d: %w", option, err)
		}
	}
	err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: hostToNet(unix.ETH_P_ALL), Ifindex: l.Attrs().Index})
	return os.NewFile(uintptr(fd), name), err
}

// forward lives until the box is closed.
func (b *badCable) forward(from, to *os.File, toServer bool) {
	buf := make([]byte, sizeofVnetHdr+receiveBuffer)
	for {
		n, err := from.Read(buf)
		switch {
		case errors.Is(err, unix.ENETDOWN):
			continue // told once, when the link is set down
		case errors.Is(err, os.ErrClosed):
			return
		case err != nil || n < sizeofVnetHdr:
			b.t.Errorf("the box read %d bytes: %v", n, err)
			return
		}
		frame := append([]byte(nil), buf[sizeofVnetHdr:n]...)
		if buf[0]&unix.VIRTIO_NET_HDR_F_NEEDS_CSUM != 0 {
			completeChecksum(frame, int(binary.NativeEndian.Uint16(buf[6:])), int(binary.NativeEndian.Uint16(buf[8:])))
		}
		at := time.Since(b.begun)
		m := dhcpOf(frame)
		deliveries := b.fault(at, toServer, frame)
		b.mu.Lock()
		if m != nil {
			b.frames = append(b.frames, dhcpFrame{at, toServer, len(deliveries) == 0, m})
		}
		for _, d := range deliveries {
			whole := append(make([]byte, sizeofVnetHdr), d.frame...)
			if d.after == 0 {
				_, _ = to.Write(whole) // a link that is down loses it, too
				continue
			}
			b.timers = append(b.timers, time.AfterFunc(d.after, func() {
				b.mu.Lock()
				defer b.mu.Unlock()
				if !b.closed {
					_, _ = to.Write(whole)
				}
			}))
		}
		b.mu.Unlock()
	}
}

// completeChecksum does what a card does with a frame whose checksum field
// holds the sum of the pseudo header only.
func completeChecksum(frame []byte, start, offset int) {
	if start+offset+2 > len(frame) {
		return
	}
	sum := lease.Checksum(0, frame[start:])
	if sum == 0 {
		sum = 0xffff
	}
	binary.BigEndian.PutUint16(frame[start+offset:], sum)
}

// dhcpOf reads an Ethernet frame, nil if it has no DHCP message.
func dhcpOf(frame []byte) *dhcpv4.DHCPv4 {
	if len(frame) < 14 || binary.BigEndian.Uint16(frame[12:]) != unix.ETH_P_IP {
		return nil
	}
	_, dst, payload, err := lease.ParseUDP(frame[14:], true)
	if err != nil || (dst.Port() != lease.ClientPort && dst.Port() != lease.ServerPort) {
		return nil
	}
	m, err := dhcpv4.FromBytes(payload)
	if err != nil {
		return nil
	}
	return m
}

// sent are the messages of one type that came from the node, lost or not.
func (b *badCable) sent(kind dhcpv4.MessageType) []dhcpFrame {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []dhcpFrame
	for _, f := range b.frames {
		if f.toServer && f.MessageType() == kind {
			all = append(all, f)
		}
	}
	return all
}

// once is what the node sent, with one word for messages that are sent again.
func (b *badCable) once() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var kinds []string
	for _, f := range b.frames {
		if f.toServer {
			kinds = append(kinds, f.MessageType().String())
		}
	}
	return strings.Join(slices.Compact(kinds), " ")
}

// String is a line for each DHCP message.
func (b *badCable) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var s strings.Builder
	for _, f := range b.frames {
		fmt.Fprintf(&s, "%8.3f s %s %s%s %s\n", f.at.Seconds(), map[bool]string{true: "->", false: "<-"}[f.toServer],
			f.MessageType(), map[bool]string{true: " (lost)"}[f.lost], f.TransactionID)
	}
	return s.String()
}

// connected is that of a cable, for both of its halves.
func (b *badCable) connected(dev string) {
	b.t.Helper()
	(&cable{t: b.t, ns: b.middle, peer: b.near}).connected(dev)
	eventually(b.t, b.peer+" to be connected", func() bool {
		there := false
		b.in(func() { there = queueOpen(b.peer) })
		return there
	})
}

// carrier sets the end of the box towards the node up or down.
func (b *badCable) carrier(on bool) {
	(&cable{t: b.t, ns: b.middle, peer: b.near}).plug(on)
}
