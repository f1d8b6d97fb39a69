package bringup

import (
	"context"
	"errors"
	"fmt"
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

// wantsRootPath is a boot whose root DHCP names.
func wantsRootPath() netsetup.Needs {
	return netsetup.Needs{RootPath: func(s string) error {
		if !strings.HasPrefix(s, "iscsi:") {
			return fmt.Errorf("root-path (DHCP option 17)=%s: is not a root", s)
		}
		return nil
	}}
}

func wantsHosts(addrs ...string) netsetup.Needs {
	var n netsetup.Needs
	for _, a := range addrs {
		n.Hosts = append(n.Hosts, netsetup.Host{Addr: addr(a)})
	}
	return n
}

const target = "iscsi:10.88.0.1::::iqn.2026-01.example:root"

// after is a server that answers nothing before a time.
func after(d time.Duration, s fakekernel.Responder) fakekernel.Responder {
	start := time.Now()
	return func(m *dhcpv4.DHCPv4) []byte {
		if time.Since(start) < d {
			return nil
		}
		return s(m)
	}
}

// ran is what is there at the end: addresses, routes and links by their commands,
// and releases.
func ran(r result) []string {
	return slices.DeleteFunc(slices.Clone(r.commands), func(s string) bool {
		return strings.HasSuffix(s, ": DISCOVER") || strings.HasSuffix(s, ": REQUEST") || strings.HasSuffix(s, " up")
	})
}

// Of two networks the one with the root path is taken, every time, however late it
// is: the quicker one has none (xcat-core #7484, #2147; ipxe #826).
func TestChoiceRootPath(t *testing.T) {
	for i := range 20 {
		synctest.Test(t, func(t *testing.T) {
			late := time.Duration(i*i) * 400 * time.Millisecond // up to 144 s
			k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
			k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.76/24")
			k.Servers["eth1"] = after(late, fakekernel.Leases(t, "10.89.0.76/24", fakekernel.Gateway(""), fakekernel.RootPath(target)))
			r := tryFor(t, "ip=dhcp", wantsRootPath(), 3*time.Minute, k, nil)
			if r.err != nil || r.state.String() != "eth1 10.89.0.76/24 by DHCP from 10.77.0.1" || r.state.Lease.RootPath != target {
				t.Fatalf("%v: %v, %v", late, r.state, r.err)
			}
			if r.took < late || r.took > late+lease.MaxRetransmit*5/4+lease.ProbeWait {
				t.Errorf("%v: after %v", late, r.took)
			}
			if diff := cmp.Diff([]string{"addr add 10.89.0.76/24 brd + dev eth1", "link set eth0 down"}, ran(r)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			const line = "0s eth0: 10.88.0.76/24 by DHCP from 10.77.0.1 has no root path (option 17)"
			if late > 0 && !slices.Contains(r.log, line) {
				t.Errorf("%v: the console says %q", late, r.log)
			}
		})
	}
}

// When the right one never answers both are named, and so is what the wrong one had.
func TestChoiceRootPathMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB), linktest.Ethernet(4, "eth2", "\x52\x54\x00\x00\x00\x03"))
		k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.76/24")
		k.Servers["eth2"] = fakekernel.Leases(t, "10.89.0.76/24", fakekernel.RootPath("nbd:10.0.0.1:export"))
		r := tryFor(t, "ip=dhcp", wantsRootPath(), 60*time.Second, k, nil)
		if !errors.Is(r.err, context.DeadlineExceeded) {
			t.Fatalf("%v, %v", r.state, r.err)
		}
		for _, want := range []string{
			"eth0: no DHCP lease after 60 s (", "10.88.0.76/24 by DHCP from 10.77.0.1 has no root path (option 17); ", "eth1: no DHCP answer after 60 s",
			"10.89.0.76/24 by DHCP from 10.77.0.1 is of no use: root-path (DHCP option 17)=nbd:10.0.0.1:export: is not a root",
		} {
			if !strings.Contains(r.err.Error(), want) {
				t.Errorf("no %q in: %v", want, r.err)
			}
		}
		if said := strings.Count(strings.Join(r.log, "\n"), "s eth0: 10.88.0.76/24 by DHCP from 10.77.0.1 has no root path"); said != 1 {
			t.Errorf("said %d times: %q", said, r.log)
		}
		if got := ran(r); len(got) > 0 {
			t.Errorf("%q", got)
		}
	})
}

// Which words the root path is asked of.
func TestChoiceRootPathWords(t *testing.T) {
	for line, want := range map[string]string{
		"":                                       "eth1",
		"ip=on":                                  "eth1",
		"ip=any":                                 "eth1",
		"ip=single-dhcp":                         "eth0", // the first answer, whatever it has
		"ip=eth0:dhcp ip=eth1:dhcp":              "eth1", // each is set up; the root path counts
		"ip=eth0:dhcp ip=eth1:dhcp bootdev=eth1": "eth1",
		"ip=eth1:dhcp ip=10.1.0.5:::24::eth0:none": "eth1",
		"ip=eth0:dhcp":                           "", // only that one is asked: told for ever
		"ip=eth0:dhcp ip=eth1:dhcp bootdev=eth0": "",
		"ip=dhcp rd.neednet=1":                   "eth1", // the other one has an address, too
		"ip=bootp":                               "eth1",
		"ip=both":                                "eth1",
		"BOOTIF=01-" + link.Dashed(macA):         "",
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
				k.Servers["eth0"] = fakekernel.Leases(t, "10.88.0.76/24")
				k.Servers["eth1"] = after(2500*time.Millisecond, fakekernel.Leases(t, "10.89.0.76/24", fakekernel.RootPath(target)))
				if strings.HasPrefix(line, "ip=bo") {
					for dev, s := range k.Servers {
						k.Servers[dev] = bootpOf(t, s)
					}
				}
				r := tryFor(t, line, wantsRootPath(), time.Minute, k, nil)
				if r.state.Device != want || (r.err == nil) != (want != "") {
					t.Errorf("%v, %v; %q", r.state, r.err, r.commands)
				}
				if l := r.state.Lease; want == "eth1" && (l == nil || l.RootPath != target) {
					t.Errorf("%+v", l)
				}
				if strings.HasPrefix(line, "ip=eth0:dhcp ip=eth1:dhcp") && want == "eth1" { // the root may be beyond its gateway
					var last []string
					for _, c := range r.commands {
						if strings.Contains(c, "default") {
							last = append(slices.DeleteFunc(last, func(s string) bool {
								return strings.HasSuffix(s, " metric 101") == strings.HasSuffix(c, " metric 101")
							}), c)
						}
					}
					if text := strings.Join(last, "\n"); !strings.Contains(text, "dev eth1 onlink") || !strings.Contains(text, "dev eth0 onlink metric 101") || len(last) != 2 {
						t.Errorf("routes: %s", text)
					}
				}
				both := strings.Contains(line, "neednet")
				if have := slices.Contains(r.commands, "addr add 10.88.0.76/24 brd + dev eth0"); have != (both || strings.Contains(line, "ip=eth0:dhcp ip=eth1") && want != "" || want == "eth0") {
					t.Errorf("eth0 has an address: %v\n%s", have, strings.Join(r.commands, "\n"))
				}
				if want == "" && !strings.Contains(r.err.Error(), "10.88.0.76/24 by DHCP from 10.77.0.1 has no root path (option 17)") {
					t.Error(r.err)
				}
			})
		})
	}
}

// bootpOf is a server of BOOTP.
func bootpOf(t *testing.T, s fakekernel.Responder) fakekernel.Responder {
	return func(m *dhcpv4.DHCPv4) []byte {
		m.UpdateOption(dhcpv4.OptMessageType(dhcpv4.MessageTypeDiscover))
		raw := s(m)
		if raw == nil {
			return nil
		}
		a, err := dhcpv4.FromBytes(raw)
		if err != nil {
			t.Error(err)
			return nil
		}
		for _, o := range []dhcpv4.OptionCode{dhcpv4.OptionDHCPMessageType, dhcpv4.OptionServerIdentifier, dhcpv4.OptionIPAddressLeaseTime} {
			a.Options.Del(o)
		}
		return a.ToBytes()
	}
}

// Two servers on one cable: the quick one has no root path.
func TestChoiceRootPathOfTwoServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		rogue := fakekernel.Leases(t, "10.77.0.99/24", func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptServerIdentifier([]byte{10, 77, 0, 66}))
		})
		good := fakekernel.Leases(t, "10.77.0.23/24", fakekernel.RootPath(target))
		asked := 0
		k.Servers["eth0"] = func(m *dhcpv4.DHCPv4) []byte {
			if asked++; asked%2 == 1 {
				return rogue(m)
			}
			return good(m)
		}
		r := tryFor(t, "ip=eth0:dhcp", wantsRootPath(), time.Minute, k, nil)
		if r.err == nil && r.state.Lease.RootPath == target && asked < 8 {
			return
		}
		t.Errorf("%v, %v: %q", r.state, r.err, r.commands)
	})
}

// With targets named by address the lease must have a way to them. A card on the
// target's own network is better than a gateway; several networks stay up where the
// targets lie in several.
func TestChoiceHosts(t *testing.T) {
	for name, tt := range map[string]struct {
		line    string
		needs   netsetup.Needs
		servers map[string]func(t *testing.T) fakekernel.Responder // by device
		during  time.Duration                                      // of Keep
		opening time.Duration                                      // of eth1
		want    string                                             // of Up
		took    time.Duration
		ran     []string
		log     string
	}{
		"the other network has none": {
			needs: wantsHosts("192.168.50.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "10.88.0.76/24", fakekernel.Gateway(""))
				},
				"eth1": func(t *testing.T) fakekernel.Responder {
					return after(5*time.Second, fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway("")))
				},
			},
			want: "eth1 192.168.50.7/24 by DHCP from 10.77.0.1",
			ran:  []string{"addr add 192.168.50.7/24 brd + dev eth1", "link set eth0 down"},
			log:  "eth0: 10.88.0.76/24 by DHCP from 10.77.0.1 has no route to 192.168.50.1",
		},
		// dracut's test of iSCSI: two portals, each behind its own card.
		"two networks": {
			needs: wantsHosts("192.168.51.1", "192.168.50.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway("192.168.50.1"))
				},
				"eth1": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.51.7/24", fakekernel.Gateway("192.168.51.1"))
				},
			},
			want: "eth1 192.168.51.7/24 by DHCP from 10.77.0.1, eth0 192.168.50.7/24 by DHCP from 10.77.0.1",
		},
		// What has been offered is waited for.
		"two networks, one a moment later": {
			needs: wantsHosts("192.168.51.1", "192.168.50.1"), opening: 10 * time.Millisecond,
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway("192.168.50.1"))
				},
				"eth1": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.51.7/24", fakekernel.Gateway("192.168.51.1"))
				},
			},
			want: "eth1 192.168.51.7/24 by DHCP from 10.77.0.1, eth0 192.168.50.7/24 by DHCP from 10.77.0.1", took: lease.ProbeWait + 10*time.Millisecond,
		},
		// The boot goes on with the first, and the other comes beside it.
		"two networks, one late": {
			needs: wantsHosts("192.168.51.1", "192.168.50.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway("192.168.50.1"))
				},
				"eth1": func(t *testing.T) fakekernel.Responder {
					return after(20*time.Second, fakekernel.Leases(t, "192.168.51.7/24", fakekernel.Gateway("192.168.51.1")))
				},
			},
			during: time.Minute,
			want:   "eth0 192.168.50.7/24 by DHCP from 10.77.0.1", took: lease.ProbeWait,
			ran: []string{
				"addr add 192.168.50.7/24 brd + dev eth0", "route replace default via 192.168.50.1 dev eth0",
				"addr add 192.168.51.7/24 brd + dev eth1", "route replace default via 192.168.51.1 dev eth1 metric 101",
			},
			log: "eth1 192.168.51.7/24 by DHCP from 10.77.0.1",
		},
		// Both are on one network, and the target is beyond its gateway: one is enough.
		"one network": {
			needs: wantsHosts("172.16.0.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway("192.168.50.1"))
				},
				"eth1": func(t *testing.T) fakekernel.Responder {
					return after(500*time.Millisecond, fakekernel.Leases(t, "192.168.50.8/24", fakekernel.Gateway("192.168.50.1")))
				},
			},
			during: time.Minute,
			want:   "eth0 192.168.50.7/24 by DHCP from 10.77.0.1", took: lease.ProbeWait,
			ran: []string{"addr add 192.168.50.7/24 brd + dev eth0", "route replace default via 192.168.50.1 dev eth0", "link set eth1 down"},
		},
		"nobody else": { // the search for better ends with the boot
			needs: wantsHosts("172.16.0.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway("192.168.50.1"))
				},
			},
			during: time.Minute,
			want:   "eth0 192.168.50.7/24 by DHCP from 10.77.0.1", took: lease.ProbeWait,
			ran: []string{"addr add 192.168.50.7/24 brd + dev eth0", "route replace default via 192.168.50.1 dev eth0", "link set eth1 down"},
		},
		"a route of the command line": {
			line: "rd.route=172.16.0.0/16:192.168.50.9 ip=dhcp", needs: wantsHosts("172.16.0.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway(""))
				},
			},
			want: "eth0 192.168.50.7/24 by DHCP from 10.77.0.1", took: lease.ProbeWait,
			ran: []string{"addr add 192.168.50.7/24 brd + dev eth0", "route replace 172.16.0.0/16 via 192.168.50.9 dev eth0", "link set eth1 down"},
		},
		"by the card that the target names": {
			needs: netsetup.Needs{Hosts: []netsetup.Host{{Addr: addr("192.168.50.1"), Dev: "eth1"}}},
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder { return fakekernel.Leases(t, "192.168.50.7/24") },
				"eth1": func(t *testing.T) fakekernel.Responder {
					return after(2500*time.Millisecond, fakekernel.Leases(t, "192.168.50.8/24", fakekernel.Gateway("")))
				},
			},
			want: "eth1 192.168.50.8/24 by DHCP from 10.77.0.1",
			log:  "eth0: 192.168.50.7/24 by DHCP from 10.77.0.1 has no route to 192.168.50.1 by eth1",
		},
		"by name": {
			needs: netsetup.Needs{Hosts: []netsetup.Host{{Name: "tgt.example"}}},
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder { return fakekernel.Leases(t, "192.168.50.7/24") },
				"eth1": func(t *testing.T) fakekernel.Responder {
					return after(2500*time.Millisecond, fakekernel.Leases(t, "192.168.51.8/24", fakekernel.Gateway(""), func(m *dhcpv4.DHCPv4) {
						m.UpdateOption(dhcpv4.OptDNS([]byte{192, 168, 51, 1}))
					}))
				},
			},
			want: "eth1 192.168.51.8/24 by DHCP from 10.77.0.1",
			log:  "eth0: 192.168.50.7/24 by DHCP from 10.77.0.1 has no name server to look for tgt.example",
		},
		"a static word has the target": {
			line: "ip=dhcp ip=10.1.0.5:::24::eth1:none", needs: wantsHosts("10.1.0.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway(""))
				},
			},
			want: "eth0 192.168.50.7/24 by DHCP from 10.77.0.1, eth1 10.1.0.5/24 static", took: lease.ProbeWait,
		},
		"single-dhcp": {
			line: "ip=single-dhcp", needs: wantsHosts("192.168.51.1"),
			servers: map[string]func(*testing.T) fakekernel.Responder{
				"eth0": func(t *testing.T) fakekernel.Responder {
					return fakekernel.Leases(t, "192.168.50.7/24", fakekernel.Gateway(""))
				},
				"eth1": func(t *testing.T) fakekernel.Responder {
					return after(time.Second/2, fakekernel.Leases(t, "192.168.51.7/24"))
				},
			},
			want: "eth0 192.168.50.7/24 by DHCP from 10.77.0.1", took: lease.ProbeWait,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
				for dev, s := range tt.servers {
					k.Servers[dev] = s(t)
				}
				k.Opening["eth1"] = tt.opening
				k.Neighbours[addr("192.168.50.1")] = k.Neighbours[addr("10.77.0.1")]
				k.Neighbours[addr("192.168.51.1")] = k.Neighbours[addr("10.77.0.1")]
				r := keepFor(t, tt.line, tt.needs, max(tt.during, time.Millisecond), k, nil)
				if got := r.state.String(); got != tt.want || tt.took > 0 && r.took != tt.took {
					t.Errorf("%s after %v; %q", got, r.took, r.log)
				}
				if diff := cmp.Diff(tt.ran, ran(r)); tt.ran != nil && diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if !strings.Contains(strings.Join(r.log, "\n"), tt.log) {
					t.Errorf("the console says %q", r.log)
				}
			})
		})
	}
}
