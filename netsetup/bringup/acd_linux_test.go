package bringup

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/arp"
	"github.com/nodisk/nodisk/netsetup/link"
)

// hold gives an address to the kernel at the other end, or takes it. It is one
// of lo: Linux answers ARP for it on every interface.
func (c *cable) hold(a string, on bool) {
	c.in(func() {
		change := netlink.AddrDel
		if on {
			change = netlink.AddrAdd
		}
		l, err := netlink.LinkByName("lo")
		if err == nil {
			err = change(l, &netlink.Addr{IPNet: ipNet(netip.PrefixFrom(addr(a), 32))})
		}
		if err != nil {
			c.t.Errorf("hold %s: %v", a, err)
		}
	})
}

// device is the other end.
func (c *cable) device() (d link.Device) {
	c.in(func() {
		l, err := netlink.LinkByName(c.peer)
		if err != nil {
			c.t.Errorf("%s: %v", c.peer, err)
			return
		}
		d = link.Device{
			Index: l.Attrs().Index, Name: c.peer, Type: link.HwEthernet, Addr: link.HardwareAddr(l.Attrs().HardwareAddr),
			Broadcast: "\xff\xff\xff\xff\xff\xff",
		}
	})
	return d
}

// wire is a socket at the other end.
func (c *cable) wire(via lease.Channel) (w wire) {
	d := c.device()
	c.in(func() {
		var err error
		if w, err = (kernel{}).open(d, via); err != nil {
			c.t.Errorf("open: %v", err)
		}
	})
	if w == nil {
		c.t.FailNow()
	}
	return w
}

func wantLog(t *testing.T, buf *lockedBuffer, want ...string) {
	t.Helper()
	for _, w := range want {
		if !strings.Contains(buf.String(), w) {
			t.Errorf("the log has no %q", w)
		}
	}
}

// Somebody has the address that the server gives: it is declined, and the next
// one taken, without a wait.
func TestUpDeclines(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	c.hold("10.77.0.23", true)
	log := c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h", "--dhcp-host="+macA.String()+",10.77.0.23")
	s, buf, err := up(t, "ip=eth0:dhcp", 20*time.Second)
	// Not the 10 s of RFC 2131 section 3.1. The kernel may hold the news of a link back for a
	// second (net/core/link_watch.c).
	if err != nil || len(s.Addrs) != 1 || s.Addrs[0] == prefix("10.77.0.23/24") || s.Took > 5*time.Second {
		t.Errorf("%v, %v", s, err)
	}
	wantLog(t, buf, "eth0: 10.77.0.1 leased 10.77.0.23, which "+c.device().Addr.String()+" uses already: declined")
	if !strings.Contains(log(), "DHCPDECLINE(srv-eth0) 10.77.0.23") {
		t.Error("the server saw no DECLINE")
	}
	if got := show(t, "eth0"); len(got) < 2 || strings.Contains(got[1], "10.77.0.23/") {
		t.Errorf("%q", got)
	}
}

// A switch that answers for everybody would have all addresses declined:
// nodisk.arp-probe=0 takes them all the same.
func TestUpNoProbe(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	c.hold("10.77.0.23", true)
	c.serve(fakekernel.GoodServer(t))
	s, buf, err := up(t, "ip=eth0:dhcp nodisk.arp-probe=0", 20*time.Second)
	if err != nil || s.String() != "eth0 10.77.0.23/24 by DHCP from 10.77.0.1" || strings.Contains(buf.String(), "ARP") {
		t.Errorf("%v, %v", s, err)
	}
}

// A static address in use is not taken before its holder is gone.
func TestUpStaticInUse(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	c.hold("10.77.0.5", true)
	const held = 2 * time.Second
	timer := time.AfterFunc(held, func() { c.hold("10.77.0.5", false) })
	defer timer.Stop()
	s, buf, err := up(t, "ip=10.77.0.5::10.77.0.1:24::eth0:none", 20*time.Second)
	if err != nil || s.String() != "eth0 10.77.0.5/24 static" || s.Took < held {
		t.Errorf("%v, %v", s, err)
	}
	wantLog(t, buf, "eth0: 10.77.0.5 is in use by "+c.device().Addr.String()+": check the client address of ip= here, and that machine; trying again until it is free")

	// One that stays is the error.
	c.hold("10.77.0.6", true)
	_, _, err = up(t, "ip=10.77.0.6::10.77.0.1:24::eth0:none", time.Second)
	if err == nil || !strings.Contains(err.Error(), "eth0: 10.77.0.6 is in use by ") {
		t.Error(err)
	}
	if got := strings.Join(show(t, "eth0"), " "); strings.Contains(got, "10.77.0.6") {
		t.Errorf("the address was taken: %s", got)
	}
}

// How much of the wait a neighbour's kernel needs.
func TestProbeAnswered(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	c.hold("10.77.0.5", true)
	if _, _, err := up(t, "ip=10.77.0.9:::24::eth0:none", 10*time.Second); err != nil {
		t.Fatal(err)
	}
	l, err := netlink.LinkByName("eth0")
	if err != nil {
		t.Fatal(err)
	}
	d := link.Device{Index: l.Attrs().Index, Name: "eth0", Type: link.HwEthernet, Addr: macA, Broadcast: "\xff\xff\xff\xff\xff\xff"}
	w, err := kernel{}.open(d, lease.ChannelARP)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.Close() }()
	probe := (&arp.Packet{HwType: link.HwEthernet, Op: arp.Request, Sender: macA, TargetIP: addr("10.77.0.5")}).Bytes()
	best := time.Minute
	for range 20 {
		began := time.Now()
		if err := w.Send(lease.Message{Via: lease.ChannelARP, Payload: probe}); err != nil {
			t.Fatal(err)
		}
		for {
			p, err := w.Receive()
			if err != nil {
				t.Fatal(err)
			}
			if a, ok := arp.Parse(p.Payload, link.HwEthernet); ok && a.Op == arp.Reply && a.SenderIP == addr("10.77.0.5") {
				if !p.Unicast {
					t.Error("the answer was broadcast")
				}
				break
			}
		}
		best = min(best, time.Since(began))
	}
	if best > lease.ProbeWait/4 {
		t.Errorf("a kernel answers after %v; the wait is %v", best, lease.ProbeWait)
	}
	t.Logf("answered after %v", best)
}

// A gateway that is not there costs two seconds and a sentence.
func TestUpSilentGateway(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	s, buf, err := up(t, "ip=10.77.0.5::10.77.0.254:24::eth0:none", 10*time.Second)
	if err != nil || s.Gateway != addr("10.77.0.254") || s.Took < lease.GatewayEvery || s.Took > 3*lease.GatewayEvery {
		t.Errorf("%v, %v", s, err)
	}
	wantLog(t, buf, "eth0: gateway 10.77.0.254 does not answer ARP: check that it is up")
}

// Somebody takes the address while the boot goes on.
func TestKeepShared(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	w := c.wire(lease.ChannelARP)
	defer func() { _ = w.Close() }()
	conf, err := netsetup.ParseConfig(cmdline.Parse("ip=10.77.0.5:::24::eth0:none"))
	if err != nil {
		t.Fatal(err)
	}
	buf := &lockedBuffer{}
	n, err := New(conf, slog.New(slog.NewTextHandler(buf, nil)))
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = w.Close() })() // so that receive ends, too
	if s, err := n.Up(ctx); err != nil {
		t.Fatal(s, err)
	}
	heard := func(what string, ok func(a arp.Packet) bool) {
		t.Helper()
		for {
			p, err := w.Receive()
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			if a, is := arp.Parse(p.Payload, link.HwEthernet); is && ok(a) {
				return
			}
		}
	}
	claim := func(a arp.Packet) bool {
		return a.Op == arp.Request && a.Sender == macA && a.SenderIP == addr("10.77.0.5") && a.TargetIP == a.SenderIP
	}
	heard("probe", func(a arp.Packet) bool { return a.Probe() && a.Sender == macA && a.TargetIP == addr("10.77.0.5") })
	heard("announcement", claim)
	done := make(chan error, 1)
	go func() { done <- n.Keep(ctx) }()
	thief := arp.Packet{HwType: link.HwEthernet, Op: arp.Request, Sender: other, SenderIP: addr("10.77.0.5"), TargetIP: addr("10.77.0.5")}
	for range 3 {
		if err := w.Send(lease.Message{Via: lease.ChannelARP, Payload: thief.Bytes()}); err != nil {
			t.Fatal(err)
		}
	}
	heard("defence", claim)
	const note = "eth0: 52:54:00:00:fe:99 also uses 10.77.0.5, the address of this node"
	eventually(t, "the sentence", func() bool { return strings.Contains(buf.String(), note) })
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if n := strings.Count(buf.String(), note); n != 1 {
		t.Errorf("told %s\n%s", phrase.Times(n), buf)
	}
}

func TestUpBOOTP(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	log := c.dnsmasq("--dhcp-range=10.77.0.100,10.77.0.200,255.255.255.0,1h", "--bootp-dynamic", "--dhcp-host="+macA.String()+",10.77.0.23",
		"--dhcp-option=17,/srv/node7", "--dhcp-boot=pxelinux.0,,10.77.0.2")
	s, _, err := up(t, "ip=eth0:bootp", 10*time.Second)
	if err != nil || s.String() != "eth0 10.77.0.23/24 by BOOTP from 10.77.0.2" || s.Gateway != addr("10.77.0.1") || s.Lease.RootPath != "/srv/node7" ||
		s.Lease.NextServer != addr("10.77.0.2") || s.Lease.Duration != 0 {
		t.Errorf("%v, %v: %+v", s, err, s.Lease)
	}
	if !strings.Contains(log(), "BOOTP(srv-eth0) 10.77.0.23 "+macA.String()) {
		t.Error("the server has not heard BOOTP")
	}
}

// answerRARP is a RARP server at the other end.
func (c *cable) answerRARP(ip string) {
	w, d := c.wire(lease.ChannelRARP), c.device()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			p, err := w.Receive()
			if err != nil {
				return
			}
			a, ok := arp.Parse(p.Payload, link.HwEthernet)
			if !ok || a.Op != arp.RARPRequest {
				continue
			}
			reply := arp.Packet{HwType: link.HwEthernet, Op: arp.RARPReply, Sender: d.Addr, SenderIP: addr("10.77.0.1"), Target: a.Target, TargetIP: addr(ip)}
			if err := w.Send(lease.Message{Via: lease.ChannelRARP, Payload: reply.Bytes(), To: p.From}); err != nil {
				c.t.Errorf("answer: %v", err)
			}
		}
	}()
	c.t.Cleanup(func() {
		_ = w.Close()
		<-done
	})
}

func TestUpRARP(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	c.answerRARP("10.77.0.42")
	for line, want := range map[string]string{
		"ip=eth0:rarp":                          "eth0 10.77.0.42/8 by RARP from 10.77.0.1",
		"ip=::10.77.0.1:255.255.0.0::eth0:rarp": "eth0 10.77.0.42/16 by RARP from 10.77.0.1",
		"ip=eth0:both":                          "eth0 10.77.0.42/8 by RARP from 10.77.0.1",
	} {
		s, _, err := up(t, line, 10*time.Second)
		if err != nil || s.String() != want || s.Lease.NextServer != addr("10.77.0.1") || s.Took > 5*time.Second {
			t.Errorf("%s: %v, %v", line, s, err)
		}
	}
}
