package bringup

import (
	"encoding/binary"
	"io/fs"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Both families on one interface are one to the rest of the node; what the
// kernel tells before there is anything that listens is kept.
func TestRunBothFamilies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		k.Servers["eth0"] = fakekernel.GoodServer(t)
		for _, e := range []link.News{
			{Addr: linkAddr6, Permanent: true},
			{Addr: autoAddr6},
			{Gateway: router6},
			{DNS: []netip.Addr{nameserver6, router6}},
			{Search: []string{"six.example.org"}},
		} {
			k.Events <- link.Event{Device: link.Device{Index: 2}, News: &e}
		}
		r := try(t, "ip=eth0:dhcp ip=eth0:auto6", time.Minute, k, nil)
		if r.err != nil {
			t.Fatal(r.err)
		}
		if len(r.state.Addrs) != 2 || r.state.Addrs[1] != autoAddr6 || !r.state.Addrs[0].Addr().Is4() {
			t.Errorf("addresses %v", r.state.Addrs)
		}
		text := r.state.ResolvConf()
		for _, want := range []string{"six.example.org", "nameserver 2001:db8:1::53\nnameserver fe80::1%eth0\n"} {
			if !strings.Contains(text, want) {
				t.Errorf("resolv.conf without %q:\n%s", want, text)
			}
		}
		for _, c := range r.commands {
			if strings.Contains(c, "2001:db8") || strings.Contains(c, "fe80") {
				t.Errorf("%s: that is the kernel's", c)
			}
		}
	})
}

func TestRunStatic6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		addr := netip.MustParsePrefix("2001:db8:1::5/64")
		r := try(t, "ip=[2001:db8:1::5]::[2001:db8:1::1]:64::eth0:none", time.Minute, k, func() {
			synctest.Wait()
			k.Events <- link.Event{Device: link.Device{Index: 2}, News: &link.News{Addr: addr, Permanent: true, Tentative: true}}
			<-time.After(time.Second)
			k.Events <- link.Event{Device: link.Device{Index: 2}, News: &link.News{Addr: addr, Permanent: true}}
		})
		if r.err != nil || r.took.Round(time.Second) != time.Second {
			t.Fatal(r.err, r.took)
		}
		want := []string{"link set lo up", "link set eth0 up", "addr add 2001:db8:1::5/64 dev eth0", "route replace default via 2001:db8:1::1 dev eth0 metric 100"}
		if diff := cmp.Diff(want, r.commands); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Two ask, without rapid commit; the second gives its lease back and goes down.
func TestRunDHCP6(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB)
		k := fakekernel.New(t, one, two)
		k.Server6 = func(m lease.Message) []byte {
			kind := dhcpv6.MessageTypeReply
			switch m.What {
			case "SOLICIT":
				kind = dhcpv6.MessageTypeAdvertise
			case "REQUEST":
			default:
				return nil
			}
			asked, err := dhcpv6.MessageFromBytes(m.Payload)
			if err != nil {
				t.Error(err)
				return nil
			}
			iaid := binary.BigEndian.Uint32(asked.Options.OneIANA().IaId[:])
			addr := leaseAddr6.Addr()
			if iaid == lease.IAIDOf(two) {
				addr = addr.Next()
			}
			return leasetest.Answer6(t, m.Payload, kind, leasetest.With(iaid, addr, 0, 0, 100, 100))
		}
		r := try(t, "ip=dhcp6", time.Minute, k, func() {
			for i, a := range []netip.Prefix{linkAddr6, netip.MustParsePrefix("fe80::9/64")} {
				k.Events <- link.Event{Device: link.Device{Index: 2 + i}, News: &link.News{Addr: a, Permanent: true}}
				k.Events <- link.Event{Device: link.Device{Index: 2 + i}, News: &link.News{Gateway: router6}}
			}
			<-time.After(time.Second)
			k.Events <- link.Event{Device: link.Device{Index: 2}, News: &link.News{Addr: leaseAddr6, Permanent: true}}
		})
		if r.err != nil || r.state.Device != "eth0" || r.state.Gateway != router6 {
			t.Fatal(r.state, r.err)
		}
		got := map[string]int{}
		for _, c := range r.commands {
			got[c]++
		}
		want := map[string]int{
			"link set lo up": 1, "link set eth0 up": 1, "link set eth1 up": 1, "eth0: SOLICIT": 1, "eth1: SOLICIT": 1, "eth0: REQUEST": 1, "eth1: REQUEST": 1,
			"addr add 2001:db8:1::777/128 dev eth0": 1, "addr add 2001:db8:1::778/128 dev eth1": 1, "eth1: RELEASE": 1,
			"addr del 2001:db8:1::778/128 dev eth1": 1, "link set eth1 down": 1,
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// What a router said of an interface before this program came is asked for again; what it has
// said since the interface was shown has been heard.
func TestRunSolicits(t *testing.T) {
	for name, tt := range map[string]struct {
		up   bool // when it is shown
		want int
	}{
		"up before":       {true, 1},
		"up by ourselves": {false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := linktest.Ethernet(2, "eth0", macA)
				d.Up = tt.up
				k := fakekernel.New(t, d)
				// The second attempt finds it up.
				const raise = "ip link set eth0 up"
				k.Fail[raise] = fs.ErrExist
				try(t, "ip=eth0:auto6", 5*time.Second, k, func() {
					<-time.After(10 * time.Millisecond)
					k.Change("eth0", func(d *link.Device) { d.Up = true })
				})
				if got := len(k.Soliciting); got != tt.want {
					t.Errorf("asked for %d times, want %d: %q", got, tt.want, k.Commands)
				}
			})
		})
	}
}
