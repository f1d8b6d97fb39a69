package link

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// rtHead is the head of a message, n bytes with a family and an index.
func rtHead(n int, index uint32) []byte {
	b := make([]byte, n)
	b[0] = unix.AF_INET6
	binary.NativeEndian.PutUint32(b[4:], index)
	return b
}

// newAddr is the body of RTM_NEWADDR.
func newAddr(p netip.Prefix, flags uint32) []byte {
	b := rtHead(unix.SizeofIfAddrmsg, 2)
	b[1], b[2] = byte(p.Bits()), byte(flags)
	b = attr(b, unix.IFA_ADDRESS, string(p.Addr().AsSlice()))
	return attr(b, unix.IFA_FLAGS, string(binary.NativeEndian.AppendUint32(nil, flags)))
}

// newDefault is the body of RTM_NEWROUTE.
func newDefault(via netip.Addr, bits, table byte) []byte {
	b := rtHead(unix.SizeofRtMsg, 0)
	b[1], b[4], b[5], b[7] = bits, table, unix.RTPROT_RA, unix.RTN_UNICAST
	b = attr(b, unix.RTA_GATEWAY, string(via.AsSlice()))
	return attr(b, unix.RTA_OIF, "\x02\x00\x00\x00")
}

// newRoute is the body of the RTM_NEWROUTE of a network.
func newRoute(p netip.Prefix, protocol byte) []byte {
	b := rtHead(unix.SizeofRtMsg, 0)
	b[1], b[4], b[5], b[7] = byte(p.Bits()), unix.RT_TABLE_MAIN, protocol, unix.RTN_UNICAST
	b = attr(b, unix.RTA_DST, string(p.Addr().AsSlice()))
	return attr(b, unix.RTA_OIF, "\x02\x00\x00\x00")
}

// newInfo is the body of an RTM_NEWLINK of AF_INET6.
func newInfo(flags uint32) []byte {
	value := attr(nil, unix.IFLA_INET6_FLAGS, string(binary.NativeEndian.AppendUint32(nil, flags)))
	return attr(rtHead(unix.SizeofIfInfomsg, 2), unix.IFLA_PROTINFO, string(value))
}

// newOption is the body of RTM_NEWNDUSEROPT.
func newOption(kind byte, options string) []byte {
	b := rtHead(unix.SizeofNdUseroptmsg, 2)
	binary.NativeEndian.PutUint16(b[2:], uint16(len(options)))
	b[8] = kind
	return append(b, options...)
}

const lifetime = "\x00\x00\x07\x08"

func rdnss(addr netip.Addr, seconds string) string {
	return "\x19\x03\x00\x00" + seconds + string(addr.AsSlice())
}

func TestWatch6(t *testing.T) {
	const dnssl = "\x1f\x04\x00\x00" + lifetime + "\x07example\x03org\x00\x01a\x00\x00\x00\x00\x00\x00\x00\x00\x00"
	for _, c := range []struct {
		name string
		kind uint16
		body []byte
		want string // of the news
	}{
		{"tentative", unix.RTM_NEWADDR, newAddr(linkAddr6, unix.IFA_F_TENTATIVE|unix.IFA_F_PERMANENT), "addr fe80::5054:ff:fe12:3456/64 tentative permanent"},
		{"optimistic", unix.RTM_NEWADDR, newAddr(linkAddr6, unix.IFA_F_TENTATIVE|unix.IFA_F_OPTIMISTIC), "addr fe80::5054:ff:fe12:3456/64 permanent"},
		{"duplicate", unix.RTM_NEWADDR, newAddr(leaseAddr6, unix.IFA_F_TENTATIVE|unix.IFA_F_DADFAILED), "addr 2001:db8:1::777/128 duplicate permanent"},
		{"of a router", unix.RTM_NEWADDR, newAddr(autoAddr6, unix.IFA_F_MANAGETEMPADDR|unix.IFA_F_NOPREFIXROUTE), "addr 2001:db8:1:0:5054:ff:fe12:3456/64"},
		{"temporary", unix.RTM_NEWADDR, newAddr(autoAddr6, unix.IFA_F_TEMPORARY), ""},
		{"not there before", unix.RTM_DELADDR, newAddr(autoAddr6, 0), ""},
		{"129 bits", unix.RTM_NEWADDR, append([]byte{unix.AF_INET6, 129}, newAddr(autoAddr6, 0)[2:]...), ""},
		{"gateway", unix.RTM_NEWROUTE, newDefault(router6, 0, unix.RT_TABLE_MAIN), "gateway fe80::1"},
		{"on the link", unix.RTM_NEWROUTE, newRoute(prefix("2001:db8:1::/64"), unix.RTPROT_KERNEL), "route 2001:db8:1::/64"},
		{"a route that was not there", unix.RTM_DELROUTE, newRoute(prefix("2001:db8:1::/64"), unix.RTPROT_KERNEL), ""},
		{"of a router", unix.RTM_NEWROUTE, newRoute(prefix("2001:db8:2::/48"), unix.RTPROT_RA), "route 2001:db8:2::/48"},
		{"not the kernel's", unix.RTM_NEWROUTE, newRoute(prefix("2001:db8:3::/48"), unix.RTPROT_STATIC), ""},
		{"route without a network", unix.RTM_NEWROUTE, newDefault(router6, 64, unix.RT_TABLE_MAIN), ""},
		{"another table", unix.RTM_NEWROUTE, newDefault(router6, 0, unix.RT_TABLE_LOCAL), ""},
		{"flags", unix.RTM_NEWLINK, newInfo(raReceived | raManaged), "router managed"},
		{"flags of an unsolicited one", unix.RTM_NEWLINK, newInfo(raOther), "router other"},
		{"no router", unix.RTM_NEWLINK, newInfo(0x80000010), ""},
		{"name server", unix.RTM_NEWNDUSEROPT, newOption(134, rdnss(nameserver6, lifetime)), "dns [2001:db8:1::53]"},
		{"search", unix.RTM_NEWNDUSEROPT, newOption(134, dnssl), "search [example.org a]"},
		{"taken back", unix.RTM_NEWNDUSEROPT, newOption(134, rdnss(nameserver6, "\x00\x00\x00\x00")), ""},
		{"of a neighbour", unix.RTM_NEWNDUSEROPT, newOption(136, rdnss(nameserver6, lifetime)), ""},
		{"no length", unix.RTM_NEWNDUSEROPT, newOption(134, "\x19\x00\x00\x00"+lifetime), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			events := make(chan Event, 4)
			w := newWatcher(events, true, func(int) error { return nil })
			for range 2 { // the same again is nothing new, but for options
				if err := w.messages(context.Background(), rtMessage(c.kind, c.body)); err != nil {
					t.Fatal(err)
				}
			}
			got := ""
			if len(events) > 0 {
				e := <-events
				got = shown(*e.News)
				if e.Index != 2 {
					t.Errorf("index %d", e.Index)
				}
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			if len(events) > 0 && c.kind != unix.RTM_NEWNDUSEROPT {
				t.Errorf("told twice: %v", shown(*(<-events).News))
			}
		})
	}
}

// shown writes news as a line.
func shown(e News) string {
	var f []string
	if e.Addr.IsValid() {
		f = append(f, "addr "+e.Addr.String())
	}
	if e.Gateway.IsValid() {
		f = append(f, "gateway "+e.Gateway.String())
	}
	if e.Route.IsValid() {
		f = append(f, "route "+e.Route.String())
	}
	for _, b := range []struct {
		name string
		set  bool
	}{{"router", e.Router}, {"managed", e.Managed}, {"other", e.Other}, {"tentative", e.Tentative}, {"duplicate", e.Duplicate}, {"permanent", e.Permanent}, {"gone", e.Gone}} {
		if b.set {
			f = append(f, b.name)
		}
	}
	if len(e.DNS) > 0 {
		f = append(f, fmt.Sprint("dns ", e.DNS))
	}
	if len(e.Search) > 0 {
		f = append(f, fmt.Sprint("search ", e.Search))
	}
	return strings.Join(f, " ")
}

// The lists are asked for one after the other, and all again when messages were
// lost; what they do not show then is gone.
func TestWatch6Dumps(t *testing.T) {
	events := make(chan Event, 16)
	var asked []int
	w := newWatcher(events, true, func(dump int) error { asked = append(asked, dump); return nil })
	feed := func(messages ...[]byte) {
		t.Helper()
		for _, m := range messages {
			if err := w.messages(context.Background(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	done := rtMessage(unix.NLMSG_DONE, make([]byte, 4))
	gateway := rtMessage(unix.RTM_NEWROUTE, newDefault(router6, 0, unix.RT_TABLE_MAIN))
	feed(rtMessage(unix.RTM_NEWLINK, newLink(0, 2, 0, "nodisk-a", 0)), done, done, gateway, done,
		rtMessage(unix.RTM_NEWADDR, newAddr(linkAddr6, 0)), rtMessage(unix.RTM_NEWADDR, newAddr(autoAddr6, 0)), done)
	if err := w.again(); err != nil {
		t.Fatal(err)
	}
	w.missed() // while a list is under way
	feed(rtMessage(unix.RTM_NEWLINK, newLink(0, 2, 0, "nodisk-a", 0)), done)
	if err := w.caughtUp(); err != nil {
		t.Fatal(err)
	}
	feed(rtMessage(unix.RTM_NEWLINK, newLink(0, 2, 0, "nodisk-a", 0)), done, done, done, rtMessage(unix.RTM_NEWADDR, newAddr(linkAddr6, 0)), done)
	if diff := cmp.Diff([]int{1, 2, 3, 0, 0, 1, 2, 3}, asked); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	got := map[string]int{}
	for len(events) > 0 {
		if e := <-events; e.News != nil {
			got[shown(*e.News)]++
		}
	}
	want := map[string]int{
		"gateway fe80::1": 1, "addr fe80::5054:ff:fe12:3456/64 permanent": 1, "addr 2001:db8:1:0:5054:ff:fe12:3456/64 permanent": 1,
		"gateway fe80::1 gone": 1, "addr 2001:db8:1:0:5054:ff:fe12:3456/64 permanent gone": 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A kernel without IPv6 refuses the later ones.
	w.dump = 2
	if err := w.messages(context.Background(), rtMessage(unix.NLMSG_ERROR, []byte{0xa1, 0xff, 0xff, 0xff})); err != nil {
		t.Error(err)
	}
}

func TestObstacle6(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "conf/eth0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		off, accept, forwarding string
		ra                      bool
		want                    string
	}{
		{"0", "1", "0", true, ""},
		{"1", "1", "0", false, "IPv6 is switched off on eth0"},
		{"0", "0", "0", false, ""},
		{"0", "0", "0", true, "eth0 takes in no router advertisements"},
		{"0", "1", "1", true, "eth0 is a router"},
		{"0", "2", "1", true, ""},
	} {
		for name, value := range map[string]string{"disable_ipv6": c.off, "accept_ra": c.accept, "forwarding": c.forwarding} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(value+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if got := obstacle6(root, "eth0", c.ra); !strings.HasPrefix(got, c.want) || c.want == "" && got != "" {
			t.Errorf("%+v: %q", c, got)
		}
	}
	if got := obstacle6(filepath.Join(root, "none"), "eth0", false); !strings.HasPrefix(got, "the kernel has no IPv6") {
		t.Errorf("%q", got)
	}
}

func FuzzWatch6(f *testing.F) {
	f.Add(uint16(unix.RTM_NEWADDR), newAddr(linkAddr6, unix.IFA_F_TENTATIVE))
	f.Add(uint16(unix.RTM_NEWROUTE), newDefault(router6, 0, unix.RT_TABLE_MAIN))
	f.Add(uint16(unix.RTM_NEWROUTE), newRoute(netip.MustParsePrefix("2001:db8:1::/64"), unix.RTPROT_KERNEL))
	f.Add(uint16(unix.RTM_NEWLINK), newInfo(raReceived|raManaged))
	f.Add(uint16(unix.RTM_NEWNDUSEROPT), newOption(134, rdnss(nameserver6, lifetime)))
	f.Fuzz(func(t *testing.T, kind uint16, body []byte) {
		events := make(chan Event, 16)
		w := newWatcher(events, true, func(int) error { return nil })
		_ = w.messages(context.Background(), rtMessage(kind, body))
		v := &IPv6State{Dev: "eth0"}
		for len(events) > 0 {
			e := <-events
			if e.News == nil {
				continue
			}
			if n := e.News; e.Index <= 0 || !n.Router && !n.Addr.IsValid() && !n.Gateway.IsValid() && !n.Route.IsValid() && len(n.DNS)+len(n.Search) == 0 {
				t.Errorf("%+v", e)
			}
			v.Take(e.News)
			v.Ready(true)
		}
	})
}
