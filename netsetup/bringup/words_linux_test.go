package bringup

import (
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
)

// The words that name no interface: what they make of a machine with one that
// has a server and one that has none.
func TestUpWords(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	c.serve(fakekernel.GoodServer(t))
	newCable(t, "eth1", macB, prefix("10.78.0.1/24"))
	const (
		leased = "eth0 10.77.0.23/24 by DHCP from 10.77.0.1"
		addr0  = "10.77.0.23/24 brd 10.77.0.255 for ever"
	)
	for _, tt := range []struct {
		line string
		want string   // the state
		on0  []string // what the kernel has for eth0 afterwards, besides its addresses of before
		dns  string
		ntp  string
	}{
		{line: "", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
		{line: "ip=dhcp", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
		{line: "ip=on", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
		{line: "ip=any", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
		{line: "ip=single-dhcp", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
		{line: "ip=off", want: "off"},
		{line: "ip=none", want: "off"},
		{line: "ip=eth0:off", want: "eth0 without address", dns: "[]", ntp: "[]"},
		{
			line: "ip=::10.77.0.1:::eth0:dhcp:10.77.0.3:10.77.0.4:10.77.0.5 nameserver=10.77.0.2",
			want: leased, on0: []string{addr0}, dns: "[10.77.0.2 10.77.0.3 10.77.0.4]", ntp: "[10.77.0.5]",
		},
		{line: "ip=10.77.0.9::::n9:eth0:static:1400", want: "eth0 10.77.0.9/8 static", on0: []string{"10.77.0.9/8 brd 10.255.255.255 for ever"}, dns: "[]", ntp: "[]"},
		{
			line: "ip=10.77.0.9:::24::eth0:none ip=10.77.0.10:::24::eth0:none", want: "eth0 10.77.0.9/24 10.77.0.10/24 static",
			on0: []string{"10.77.0.9/24 brd 10.77.0.255 for ever", "10.77.0.10/24 brd 10.77.0.255 for ever"}, dns: "[]", ntp: "[]",
		},
		{
			line: "ip=[2001:db8::9]:::64::eth0:none ip=[2001:db8::a]:::64::eth0:none", want: "eth0 2001:db8::9/64 2001:db8::a/64 static",
			on0: []string{"2001:db8::9/64", "2001:db8::a/64"}, dns: "[]", ntp: "[]",
		},
		{
			line: "ip=eth0:dhcp,link6", want: "eth0 10.77.0.23/24 fe80::5054:ff:fe12:3456/64 by DHCP from 10.77.0.1, link6", on0: []string{addr0}, dns: "[]", ntp: "[]",
		},
		{line: "BOOTIF=01-52-54-00-12-34-56", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
		{line: "BOOTIF=01-52-54-00-12-34-57 rd.bootif=0", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
		{line: "ip=52-54-00-12-34-56:dhcp", want: leased, on0: []string{addr0}, dns: "[]", ntp: "[]"},
	} {
		s := tryWords(t, tt.line)
		if s.String() != tt.want {
			t.Errorf("%s: %v, want %s", tt.line, s, tt.want)
			continue
		}
		have := append(show(t, "eth0"), show6(t, "eth0")...)
		for _, want := range tt.on0 {
			if !slices.Contains(have, want) {
				t.Errorf("%s: eth0 has no %q: %q", tt.line, want, have)
			}
		}
		if strings.Contains(tt.line, ":1400") && !strings.Contains(have[0], "mtu 1400") {
			t.Errorf("%s: eth0 has another MTU: %q", tt.line, have[0])
		}
		if tt.want != "off" && (addrText(s.DNS) != tt.dns || addrText(s.NTP) != tt.ntp) {
			t.Errorf("%s: DNS %v, NTP %v, want %s and %s", tt.line, s.DNS, s.NTP, tt.dns, tt.ntp)
		}
	}
}

// show6 are the addresses of IPv6 of a device, checked by the kernel or not yet.
func show6(t *testing.T, dev string) (addrs []string) {
	t.Helper()
	_, list := list6(t, dev)
	for _, a := range list {
		addrs = append(addrs, a.IPNet.String())
	}
	return addrs
}

func addrText(addrs []netip.Addr) string {
	words := make([]string, len(addrs))
	for i, a := range addrs {
		words[i] = a.String()
	}
	return "[" + strings.Join(words, " ") + "]"
}

// tryWords runs Up with veth devices for real ones, and takes away what it set.
func tryWords(t *testing.T, line string) netsetup.State {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	buf := &lockedBuffer{}
	s, err := run(ctx, c, physicalVeth{}, slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil {
		t.Fatalf("%v\n%s", err, buf)
	}
	return s
}

// The name servers of DHCP, with rd.peerdns=0 none of them.
func TestUpPeerDNS(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	c := newCable(t, "eth0", macA, prefix(serverNet))
	c.plug(true)
	c.serve(func(m *dhcpv4.DHCPv4) []byte {
		kind := dhcpv4.MessageTypeOffer
		if m.MessageType() == dhcpv4.MessageTypeRequest {
			kind = dhcpv4.MessageTypeAck
		}
		return leasetest.Answer(t, m, kind, func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, []byte{10, 77, 0, 53}))
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainName, []byte("cluster.example")))
		})
	})
	for line, want := range map[string]string{
		"ip=dhcp":                      "search cluster.example\nnameserver 10.77.0.53\n",
		"ip=dhcp nameserver=10.77.0.2": "search cluster.example\nnameserver 10.77.0.2\nnameserver 10.77.0.53\n",
		"ip=dhcp nameserver=10.77.0.2 rd.peerdns=0": "nameserver 10.77.0.2\n",
		"ip=dhcp rd.peerdns=0":                      "",
	} {
		if got := tryWords(t, line).ResolvConf(); got != want {
			t.Errorf("%s: resolv.conf is %q, want %q", line, got, want)
		}
	}
}

// The limits of waiting, and what they count.
func TestUpLimits(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	newCable(t, "eth0", macA, prefix(serverNet)) // no carrier
	silent := newCable(t, "eth1", macB, prefix("10.78.0.1/24"))
	silent.plug(true)
	discovers := make(chan struct{}, 64)
	silent.serve(func(*dhcpv4.DHCPv4) []byte {
		discovers <- struct{}{}
		return nil
	})
	for line, want := range map[string]string{
		"ip=eth0:dhcp rd.net.timeout.carrier=1":                       "eth0: no carrier for 1 s",
		"ip=eth1:dhcp rd.net.timeout.dhcp=1":                          "eth1: no DHCP answer after 1 s",
		"ip=eth1:dhcp rd.net.timeout.dhcp=1 rd.net.dhcp.retry=3":      "eth1: no DHCP answer after 1 s",
		"ip=eth1:dhcp rd.net.timeout.dhcp=1 rd.net.timeout.carrier=9": "eth1: no DHCP answer after 1 s",
	} {
		c, err := netsetup.ParseConfig(cmdline.Parse(line))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		before, start := len(discovers), time.Now()
		_, err = Up(ctx, c, nil)
		cancel()
		if err == nil || ctx.Err() == context.DeadlineExceeded || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v after %v, want %q", line, err, time.Since(start), want)
		}
		if got := len(discovers) - before; strings.Contains(line, "retry=3") && got < 3 {
			t.Errorf("%s: %d attempts", line, got)
		}
	}
}
