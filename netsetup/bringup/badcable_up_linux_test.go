package bringup

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// sideBySide runs subtests at once, each with a device, a hardware address and
// a network of its own. Most of their time is waiting.
func sideBySide[T any](t *testing.T, cases map[string]T, run func(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix, c T)) {
	t.Helper()
	var wg sync.WaitGroup
	for i, name := range slices.Sorted(maps.Keys(cases)) {
		c := cases[name]
		dev, mac := fmt.Sprintf("eth%d", i), link.HardwareAddr([]byte{0x52, 0x54, 0, 0, 1, byte(i)})
		server := netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 100, byte(i), 1}), 24)
		wg.Go(func() { t.Run(name, func(t *testing.T) { run(t, dev, mac, server, c) }) })
	}
	wg.Wait()
}

// upBeside is up without the count of descriptors, for an Up beside others.
func upBeside(t *testing.T, line string, timeout time.Duration) (netsetup.State, *lockedBuffer, error) {
	t.Helper()
	// sysfs is that of the machine's own namespace, whose cards have names, too.
	c, err := netsetup.ParseConfig(cmdline.Parse("net.ifnames=0 " + line))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	buf := &lockedBuffer{}
	s, err := Up(ctx, c, slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
	t.Logf("%v, %v, took %v\n%s", s, err, s.Took, buf)
	return s, buf, err
}

// in4 is the address of a network of sideBySide with another last byte.
func in4(server netip.Prefix, last byte) netip.Addr {
	a := server.Addr().As4()
	a[3] = last
	return netip.AddrFrom4(a)
}

// Whatever a cable does to frames, there is a lease in the end, and it is the
// one that the server gave: nothing corrupted is believed.
func TestUpBadCable(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const late = 300 * time.Millisecond
	sideBySide(t, map[string]fault{
		"20 % lost":          loses(20, 1),
		"30 % lost":          loses(30, 2),
		"30 % lost, again":   loses(30, 3),
		"30 % lost, anew":    loses(30, 4),
		"all duplicated":     duplicates(100, 6, late),
		"all delayed":        delays(100, 7, late),
		"half delayed":       delays(50, 8, 3*time.Second),
		"30 % corrupted":     corrupts(30, 9),
		"lost and delayed":   inTurn(loses(30, 11), delays(50, 12, late)),
		"all at once":        inTurn(inTurn(loses(20, 13), corrupts(20, 14)), duplicates(50, 15, late)),
		"a hub with an echo": echoes,
	}, func(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix, f fault) {
		b := newBadCable(t, dev, mac, server, f)
		want := in4(server, 23)
		b.dnsmasq(fmt.Sprintf("--dhcp-range=%s,%s,255.255.255.0,1h", in4(server, 100), in4(server, 200)),
			fmt.Sprintf("--dhcp-host=%s,%s,node7", mac, want), "--dhcp-option=17,iscsi:10.0.0.2::::iqn.2026-01.example:disk")
		s, _, err := upBeside(t, "ip="+dev+":dhcp", 60*time.Second)
		if err != nil || s.Device != dev || len(s.Addrs) != 1 || s.Addrs[0] != netip.PrefixFrom(want, 24) ||
			s.Gateway != server.Addr() || s.Hostname != "node7" || s.Lease.RootPath != "iscsi:10.0.0.2::::iqn.2026-01.example:disk" {
			t.Errorf("%+v, %v", s, err)
		}
		if n := len(b.sent(dhcpv4.MessageTypeDiscover)) + len(b.sent(dhcpv4.MessageTypeRequest)); n > 4+int(s.Took/lease.FirstRetransmit) {
			t.Errorf("%d messages in %v", n, s.Took)
		}
	})
}

// inTurn does one fault and then another to what is left.
func inTurn(a, b fault) fault {
	return func(at time.Duration, toServer bool, frame []byte) []delivery {
		var all []delivery
		for _, d := range a(at, toServer, frame) {
			for _, e := range b(at, toServer, d.frame) {
				all = append(all, delivery{e.frame, d.after + e.after})
			}
		}
		return all
	}
}

// echoes passes a frame on. What the node sent comes back to it by the frame
// of the server that follows, as by a loop in the network.
func echoes(_ time.Duration, _ bool, frame []byte) []delivery {
	return []delivery{{frame: frame}, {frame: frame}, {frame: frame}}
}

// Carrier goes away whenever the exchange gets on: at the first OFFER, at the
// first REQUEST, and once more. Each time DISCOVER leaves with the new carrier.
func TestUpFlaps(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	var (
		made  = make(chan *badCable, 1)
		flaps int
		flap  sync.WaitGroup
	)
	at := []dhcpv4.MessageType{dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeRequest, dhcpv4.MessageTypeAck, dhcpv4.MessageTypeDiscover}
	var mu sync.Mutex
	b := newBadCable(t, "eth0", macA, prefix(serverNet), func(_ time.Duration, _ bool, frame []byte) []delivery {
		mu.Lock()
		defer mu.Unlock()
		if m := dhcpOf(frame); m != nil && flaps < len(at) && m.MessageType() == at[flaps] {
			flaps++
			flap.Go(func() {
				b := <-made
				b.carrier(false)
				b.carrier(true)
				made <- b
			})
			return nil
		}
		return pass(frame)
	})
	made <- b
	b.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h", "--dhcp-host="+macA.String()+",10.77.0.23")
	s, buf, err := up(t, "ip=eth0:dhcp", 40*time.Second)
	flap.Wait()
	if err != nil || s.String() != "eth0 10.77.0.23/24 by DHCP from 10.77.0.1" {
		t.Errorf("%v, %v", s, err)
	}
	// One that is over before the node has looked is none to it: it asks for the
	// ACK once more, and no further DISCOVER comes.
	if flaps < len(at)-1 {
		t.Errorf("%d flaps", flaps)
	}
	if got := show(t, "eth0"); len(got) != 3 {
		t.Errorf("%q", got)
	}
	if n := len(b.sent(dhcpv4.MessageTypeDiscover)); n > 3*len(at) {
		t.Errorf("%d DISCOVERs", n)
	}
	t.Logf("%d times %q", strings.Count(buf.String(), "carrier lost"), "carrier lost")
}
