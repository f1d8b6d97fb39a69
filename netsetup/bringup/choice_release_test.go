package bringup

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// A ledger is a DHCP server with one lease for each client, as dnsmasq has: a client
// that gets another address loses the one before, and an address goes to whoever asked
// for it last (several MACs in one dhcp-host).
type ledger struct {
	t     *testing.T
	of    func(m *dhcpv4.DHCPv4) (client string, a netip.Prefix)
	holds map[string]netip.Prefix
	log   []string
}

func (l *ledger) serve(m *dhcpv4.DHCPv4) []byte {
	who, a := l.of(m)
	switch m.MessageType() {
	case dhcpv4.MessageTypeRequest:
		for o, p := range l.holds {
			if p == a {
				delete(l.holds, o)
			}
		}
		l.holds[who] = a
		l.log = append(l.log, "ACK "+a.Addr().String())
	case dhcpv4.MessageTypeRelease:
		l.log = append(l.log, "RELEASE "+m.ClientIPAddr.String())
		if ip, _ := netip.AddrFromSlice(m.ClientIPAddr.To4()); l.holds[who].Addr() == ip {
			delete(l.holds, who)
		}
	default:
	}
	return fakekernel.Leases(l.t, a.String())(m)
}

// Whatever the loser does, the server still has the lease that the node goes on with:
// of an identifier for the whole node, and of one entry for several MACs.
func TestChoiceKeepsTheLease(t *testing.T) {
	one := prefix("10.77.0.7/24")
	byMAC := func(m *dhcpv4.DHCPv4) string { return m.ClientHWAddr.String() }
	byID := func(m *dhcpv4.DHCPv4) string {
		return fmt.Sprintf("%x", m.Options.Get(dhcpv4.OptionClientIdentifier))
	}
	pool := func(m *dhcpv4.DHCPv4) netip.Prefix { // each interface another one
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 77, 0, m.ClientHWAddr[5]}), 24)
	}
	for name, tt := range map[string]struct {
		line string
		of   func(m *dhcpv4.DHCPv4) (string, netip.Prefix)
	}{
		"reserved by hex:":    {"ip=dhcp nodisk.dhcp.clientid=hex:6e6f64656537", func(m *dhcpv4.DHCPv4) (string, netip.Prefix) { return byID(m), one }},
		"pool by hex:":        {"ip=dhcp nodisk.dhcp.clientid=hex:6e6f64656537", func(m *dhcpv4.DHCPv4) (string, netip.Prefix) { return byID(m), pool(m) }},
		"reserved by all MAC": {"ip=dhcp", func(m *dhcpv4.DHCPv4) (string, netip.Prefix) { return byMAC(m), one }},
		"pool by MAC":         {"ip=dhcp", func(m *dhcpv4.DHCPv4) (string, netip.Prefix) { return byMAC(m), pool(m) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB), linktest.Ethernet(4, "eth2", "\x52\x54\x00\x00\x00\x03"))
				l := &ledger{t: t, of: tt.of, holds: map[string]netip.Prefix{}}
				for _, dev := range []string{"eth0", "eth1", "eth2"} {
					k.Servers[dev] = func(m *dhcpv4.DHCPv4) []byte {
						k.Lock()
						defer k.Unlock()
						return l.serve(m)
					}
				}
				r := keep(t, tt.line, time.Minute, k, nil)
				if r.err != nil || r.took != lease.ProbeWait {
					t.Errorf("%v, %v after %v", r.state, r.err, r.took)
				}
				var held []netip.Prefix
				for _, p := range l.holds {
					held = append(held, p)
				}
				if !slices.Equal(held, r.state.Addrs) {
					t.Errorf("the node has %v, the server's leases are %v: %q", r.state, held, l.log)
				}
			})
		})
	}
}

// An interface that was offered the address of another asks for it when that one has
// not got it after all.
func TestChoiceTakesOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		good := fakekernel.GoodServer(t)
		k.Servers["eth0"] = func(m *dhcpv4.DHCPv4) []byte {
			if m.MessageType() == dhcpv4.MessageTypeRequest {
				return nil
			}
			return good(m)
		}
		k.Servers["eth1"] = after(time.Millisecond, good)
		r := try(t, "", time.Minute, k, nil)
		if r.err != nil || r.state.Device != "eth1" || r.took > 4*time.Second {
			t.Errorf("%v, %v after %v: %q", r.state, r.err, r.took, r.commands)
		}
		if text := strings.Join(r.commands, "\n"); strings.Contains(text, "RELEASE") {
			t.Errorf("the lease is ended:\n%s", text)
		}
	})
}

// attempts runs Up again and again, as the boot does, with what one leaves told to the
// next. The kernel is the same, the servers are those of each attempt.
func attempts(t *testing.T, line string, k *fakekernel.Kernel, servers ...map[string]fakekernel.Responder) (states []string, commands [][]string) {
	t.Helper()
	text := ""
	for _, s := range servers {
		k.Lock()
		k.Servers, k.Commands = s, nil
		for _, d := range k.Devices {
			k.Events <- link.Event{Device: d}
		}
		k.Unlock()
		traces, err := netsetup.ParseTraces(text)
		if err != nil {
			t.Fatal(err)
		}
		r := newRunner(parseLine(t, line), node{k}, nil)
		r.before = traces
		state, err := r.up(t.Context())
		if err != nil {
			t.Error(err)
		}
		r.close()
		synctest.Wait()
		text = r.traces().String()
		states = append(states, state.String())
		k.Lock()
		for _, c := range k.Commands {
			if name, ok := strings.CutSuffix(c, " down"); ok {
				d := k.Devices[strings.TrimPrefix(name, "link set ")]
				d.Up = false
				k.Devices[d.Name] = d
			}
		}
		commands = append(commands, ran(result{commands: k.Commands}))
		for len(k.Events) > 0 {
			<-k.Events
		}
		k.Unlock()
	}
	return states, commands
}

// What one attempt left and the next does not lease is taken away: the server has
// changed its mind, or another network is the right one now.
func TestChoiceAgain(t *testing.T) {
	const eth0, eth1 = "eth0", "eth1"
	for name, tt := range map[string]struct {
		line    string
		servers func(t *testing.T) []map[string]fakekernel.Responder
		states  []string
		last    []string
	}{
		"the same": {
			servers: func(t *testing.T) []map[string]fakekernel.Responder {
				return []map[string]fakekernel.Responder{{eth0: fakekernel.Leases(t, "10.77.0.40/24")}, {eth0: fakekernel.Leases(t, "10.77.0.40/24")}}
			},
			last: []string{"addr add 10.77.0.40/24 brd + dev eth0", "route replace default via 10.77.0.1 dev eth0", "link set eth1 down"},
		},
		"another address": {
			servers: func(t *testing.T) []map[string]fakekernel.Responder {
				return []map[string]fakekernel.Responder{{eth0: fakekernel.Leases(t, "10.77.0.40/24")}, {eth0: fakekernel.Leases(t, "10.77.0.41/24", fakekernel.Gateway(""))}}
			},
			last: []string{"route del default via 10.77.0.1 dev eth0", "addr del 10.77.0.40/24 dev eth0", "addr add 10.77.0.41/24 brd + dev eth0", "link set eth1 down"},
		},
		"another interface": {
			servers: func(t *testing.T) []map[string]fakekernel.Responder {
				return []map[string]fakekernel.Responder{{eth0: fakekernel.Leases(t, "10.77.0.40/24")}, {eth1: fakekernel.Leases(t, "10.77.0.41/24")}}
			},
			last: []string{
				"addr add 10.77.0.41/24 brd + dev eth1", "route replace default via 10.77.0.1 dev eth1",
				"addr del 10.77.0.40/24 dev eth0", "link set eth0 down",
			},
		},
		"there and back": {
			servers: func(t *testing.T) []map[string]fakekernel.Responder {
				return []map[string]fakekernel.Responder{{eth0: fakekernel.Leases(t, "10.77.0.40/24")}, {eth1: fakekernel.Leases(t, "10.77.0.41/24")}, {eth0: fakekernel.Leases(t, "10.77.0.40/24")}}
			},
			last: []string{
				"addr add 10.77.0.40/24 brd + dev eth0", "route replace default via 10.77.0.1 dev eth0",
				"addr del 10.77.0.41/24 dev eth1", "link set eth1 down",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, eth0, macA), linktest.Ethernet(3, eth1, macB))
				for len(k.Events) > 0 {
					<-k.Events
				}
				_, commands := attempts(t, tt.line, k, tt.servers(t)...)
				got := commands[len(commands)-1]
				// The link goes down beside the rest.
				slices.SortStableFunc(got, func(a, b string) int { return strings.Compare(order(a), order(b)) })
				if diff := cmp.Diff(tt.last, got); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

func order(command string) string {
	if strings.HasSuffix(command, " down") {
		return "1"
	}
	return "0"
}

// Two words, one device: by its name and by its address.
func TestChoiceTwoWords(t *testing.T) {
	for line, want := range map[string]string{
		"ip=eth0:dhcp ip=52-54-00-12-34-56:dhcp:1400": "ip=52-54-00-12-34-56:dhcp:1400: configures eth0 a second time, as ip=eth0:dhcp does; write one ip= for each device",
		"ip=eth0:dhcp ip=52-54-00-12-34-56:dhcp":      "",
		"ip=52-54-00-12-34-56:dhcp ip=eth0:off":       "ip=eth0:none: configures eth0 a second time, as ip=52-54-00-12-34-56:dhcp does",
		"ip=eth0:dhcp ip=52-54-00-12-34-56:auto6":     "",
		"ip=eth0:dhcp ip=52-54-00-12-34-57:dhcp":      "",
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
			k.Servers["eth0"], k.Servers["eth1"] = fakekernel.GoodServer(t), fakekernel.Leases(t, "10.77.0.24/24")
			r := try(t, line, time.Second, k, nil)
			if want == "" && r.err != nil && strings.Contains(r.err.Error(), "second time") || want != "" && (r.err == nil || !strings.Contains(r.err.Error(), want) || r.took > 0) {
				t.Errorf("%s: %v, %v after %v", line, r.state, r.err, r.took)
			}
		})
	}
}

// bootdev= decides the default route, wherever it stands.
func TestBootDevRoutes(t *testing.T) {
	for line, want := range map[string][]string{
		"ip=eth0:dhcp ip=eth1:dhcp bootdev=eth1":                                                                                        {"via 10.77.0.1 dev eth0 metric 101", "via 10.77.0.1 dev eth1"},
		"ip=eth0:dhcp ip=52-54-00-12-34-57:dhcp bootdev=eth1":                                                                           {"via 10.77.0.1 dev eth0 metric 101", "via 10.77.0.1 dev eth1"},
		"ip=eth1:dhcp ip=eth0:dhcp bootdev=eth1":                                                                                        {"via 10.77.0.1 dev eth0 metric 102", "via 10.77.0.1 dev eth1"},
		"ip=10.1.0.5::10.1.0.1:24::eth0:none ip=10.2.0.5::10.2.0.1:24::eth1:none bootdev=eth1":                                          {"via 10.1.0.1 dev eth0 metric 101", "via 10.2.0.1 dev eth1"},
		"ip=10.1.0.5::10.1.0.1:24::eth0:none ip=10.2.0.5::10.2.0.1:24::eth1:none":                                                       {"via 10.1.0.1 dev eth0", "via 10.2.0.1 dev eth1 metric 101"},
		"ip=eth0:off ip=10.2.0.5::10.2.0.1:24::eth1:none":                                                                               {"via 10.2.0.1 dev eth1"},
		"ip=eth0:dhcp ip=eth1:dhcp bootdev=eth1 rd.route=10.9.0.0/16:10.77.0.9":                                                         {"10.9.0.0/16 via 10.77.0.9 dev eth1", "via 10.77.0.1 dev eth0 metric 101", "via 10.77.0.1 dev eth1"},
		"ip=eth0:dhcp ip=[2001:db8::5]::[2001:db8::1]:64::eth1:none ip=eth1:dhcp bootdev=eth1 rd.route=[2001:db8:9::]/48:[2001:db8::9]": {"2001:db8:9::/48 via 2001:db8::9 dev eth1", "via 10.77.0.1 dev eth0 metric 101", "via 10.77.0.1 dev eth1", "via 2001:db8::1 dev eth1 metric 100"},
	} {
		synctest.Test(t, func(t *testing.T) {
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
			k.Servers["eth0"], k.Servers["eth1"] = fakekernel.GoodServer(t), fakekernel.Leases(t, "10.77.0.24/24")
			script := func() {
				<-time.After(10 * time.Millisecond)
				k.Events <- link.Event{Device: link.Device{Index: 3}, News: &link.News{Addr: prefix("2001:db8::5/64"), Permanent: true}}
			}
			r := try(t, line, time.Minute, k, script)
			var got []string
			for _, c := range r.commands {
				if route, ok := strings.CutPrefix(c, "route replace "); ok {
					got = append(got, strings.TrimSuffix(strings.TrimPrefix(route, "default "), " onlink"))
				}
			}
			slices.Sort(got)
			if diff := cmp.Diff(want, got); diff != "" || r.err != nil {
				t.Errorf("%s: %v (-want +got):\n%s", line, r.err, diff)
			}
			if strings.Contains(line, "bootdev=eth1") && r.state.Device != "eth1" {
				t.Errorf("%s: %v", line, r.state)
			}
		})
	}
}

// An interface that is let go for IPv6 stays up where a word of IPv4 is to have it so,
// though nothing is asked for that one.
func TestChoiceLeavesOtherFamilyUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		go func() {
			<-time.After(time.Second)
			for _, e := range []link.News{{Addr: linkAddr6, Permanent: true}, {Router: true, Gateway: linkAddr6.Addr()}, {Addr: autoAddr6}} {
				k.Events <- link.Event{Device: link.Device{Index: 3}, News: &e}
			}
		}()
		r := keep(t, "ip=auto6 ip=eth0:none", time.Minute, k, nil)
		if r.err != nil || !slices.Contains(r.commands, "link set eth0 up") || slices.Contains(r.commands, "link set eth0 down") {
			t.Errorf("%v, %v\n%s", r.err, r.state, strings.Join(r.commands, "\n"))
		}
	})
}
