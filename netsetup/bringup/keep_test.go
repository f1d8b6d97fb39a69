package bringup

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// keep runs Up and then Keep for a time. script runs beside Keep.
func keep(t *testing.T, line string, during time.Duration, k *fakekernel.Kernel, script func()) result {
	t.Helper()
	return keepFor(t, line, netsetup.Needs{}, during, k, script)
}

// keepFor is keep for a boot that needs something; it ends with Close.
func keepFor(t *testing.T, line string, needs netsetup.Needs, during time.Duration, k *fakekernel.Kernel, script func()) result {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	c.Needs = needs
	lines := &logLines{start: time.Now()}
	r := newRunner(c, node{k}, slog.New(lines))
	s, err := r.up(t.Context())
	if err != nil {
		r.close()
		t.Fatal(err)
	}
	took := time.Since(lines.start)
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	if script != nil {
		go script()
	}
	err = r.keep(ctx)
	r.close()
	synctest.Wait()
	last := r.result()
	k.Lock()
	defer k.Unlock()
	return result{s, err, k.Commands, lines.lines, took, last}
}

// Who does not carry the root is set down, but for what was up before, and for
// what the command line names.
func TestRunLosersDown(t *testing.T) {
	const macC, macD = link.HardwareAddr("\x52\x54\x00\x00\x00\x03"), link.HardwareAddr("\x52\x54\x00\x00\x00\x04")
	down := func(r result) []string {
		var names []string
		for _, c := range r.commands {
			if name, ok := strings.CutSuffix(c, " down"); ok {
				names = append(names, strings.TrimPrefix(name, "link set "))
			}
		}
		slices.Sort(names)
		return names
	}
	for line, want := range map[string][]string{
		"":                            {"eth0", "eth2"},
		"ip=dhcp":                     {"eth0", "eth2"},
		"rd.neednet=1":                nil,
		"ip=eth1:dhcp":                nil,
		"ip=eth1:dhcp ip=eth0:none":   nil,
		"ip=10.77.0.5::10.77.0.1:24":  {"eth2"}, // and eth1: eth0 is the first with carrier
		"BOOTIF=01-52-54-00-12-34-57": nil,
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				up := linktest.Ethernet(5, "eth3", macD)
				up.Up = true
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB), linktest.Ethernet(4, "eth2", macC), up)
				k.Servers["eth1"] = fakekernel.GoodServer(t)
				r := keep(t, line, time.Second, k, nil)
				if strings.Contains(line, "10.77.0.5") {
					want = slices.DeleteFunc([]string{"eth0", "eth1", "eth2"}, func(s string) bool { return s == r.state.Device })
				}
				if diff := cmp.Diff(want, down(r)); diff != "" {
					t.Errorf("%v is up, set down (-want +got):\n%s\n%s", r.state, diff, strings.Join(r.commands, "\n"))
				}
			})
		})
	}
}

// With rd.neednet=1 every interface is configured, the later ones when the boot
// goes on already.
func TestKeepNeedNet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		k.Servers["eth0"] = fakekernel.GoodServer(t)
		r := keep(t, "ip=dhcp rd.neednet=1", time.Minute, k, func() {
			<-time.After(5 * time.Second)
			k.Lock()
			k.Servers["eth1"] = func(m *dhcpv4.DHCPv4) []byte {
				return leasetest.Answer(t, m, map[dhcpv4.MessageType]dhcpv4.MessageType{
					dhcpv4.MessageTypeDiscover: dhcpv4.MessageTypeOffer, dhcpv4.MessageTypeRequest: dhcpv4.MessageTypeAck,
				}[m.MessageType()], func(m *dhcpv4.DHCPv4) { m.YourIPAddr = net.IPv4(10, 77, 0, 24) })
			}
			k.Unlock()
			third := linktest.Ethernet(4, "eth2", "\x52\x54\x00\x00\x00\x03")
			k.Lock()
			k.Servers["eth2"] = fakekernel.Leases(t, "10.77.0.25/24")
			k.Unlock()
			k.Appear(third)
		})
		if r.err != nil || r.took != lease.ProbeWait || r.state.String() != "eth0 10.77.0.23/24 by DHCP from 10.77.0.1" {
			t.Fatalf("%v, %v, after %v", r.state, r.err, r.took)
		}
		const all = "eth0 10.77.0.23/24 by DHCP from 10.77.0.1, eth1 10.77.0.24/24 by DHCP from 10.77.0.1, eth2 10.77.0.25/24 by DHCP from 10.77.0.1"
		if r.last.String() != all {
			t.Errorf("in the end %v, want %s", r.last, all)
		}
		for _, want := range []string{
			"addr add 10.77.0.24/24 brd + dev eth1", "route replace default via 10.77.0.1 dev eth1 metric 101",
			"addr add 10.77.0.25/24 brd + dev eth2",
		} {
			if !slices.Contains(r.commands, want) {
				t.Errorf("no %q in\n%s", want, strings.Join(r.commands, "\n"))
			}
		}
	})
}

// A port that appears behind Up joins its bond.
func TestKeepLatePort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
		bond := linktest.Ethernet(3, "bond0", macA)
		bond.Physical = false
		k.Made = func() { k.Appear(bond) }
		k.Servers["bond0"] = fakekernel.GoodServer(t)
		r := keep(t, "bond=bond0:eth0,eth1:mode=active-backup ip=bond0:dhcp", time.Minute, k, func() {
			<-time.After(20 * time.Second)
			k.Appear(linktest.Ethernet(4, "eth1", macB))
		})
		if r.err != nil || r.state.Device != "bond0" || !slices.Contains(r.commands, "link set eth1 master bond0") {
			t.Errorf("%v, %v\n%s", r.state, r.err, strings.Join(r.commands, "\n"))
		}
	})
}

// A leaser answers with a lease of a minute, until it dies, and writes down
// when it was asked for what.
type leaser struct {
	t     *testing.T
	start time.Time
	until time.Duration
	nak   bool
	asked []string
}

func (l *leaser) serve(m *dhcpv4.DHCPv4) []byte {
	since := time.Since(l.start)
	text := fmt.Sprintf("%v %s", since.Round(100*time.Millisecond), m.MessageType())
	if !m.ClientIPAddr.IsUnspecified() {
		text += " of " + m.ClientIPAddr.String()
	}
	l.asked = append(l.asked, text)
	minute := func(m *dhcpv4.DHCPv4) { m.UpdateOption(dhcpv4.OptIPAddressLeaseTime(time.Minute)) }
	switch {
	case since > l.until && l.nak && m.MessageType() == dhcpv4.MessageTypeRequest:
		return leasetest.Answer(l.t, m, dhcpv4.MessageTypeNak)
	case since > l.until:
		return nil
	case m.MessageType() == dhcpv4.MessageTypeDiscover:
		return leasetest.Answer(l.t, m, dhcpv4.MessageTypeOffer, minute)
	default:
		return leasetest.Answer(l.t, m, dhcpv4.MessageTypeAck, minute)
	}
}

// A lease of a minute is prolonged as long as the boot lasts; when the server
// is gone, any other is asked, and then from the beginning, and the console
// tells.
func TestKeepRenews(t *testing.T) {
	for name, tt := range map[string]struct {
		until time.Duration
		nak   bool
		want  []string
		log   string
	}{
		"good server": {
			until: time.Hour,
			want:  []string{"0s DISCOVER", "0s REQUEST", "30s REQUEST of 10.77.0.23", "1m0s REQUEST of 10.77.0.23", "1m30s REQUEST of 10.77.0.23"},
		},
		"dead server": {
			until: 20 * time.Second,
			want: []string{
				"0s DISCOVER", "0s REQUEST",
				"30s REQUEST of 10.77.0.23", "41.3s REQUEST of 10.77.0.23", "46.9s REQUEST of 10.77.0.23",
			},
			log: "eth0: the lease has ended: 10.77.0.1 has not renewed it",
		},
		"server refuses": {
			until: 20 * time.Second, nak: true,
			want: []string{"0s DISCOVER", "0s REQUEST", "30s REQUEST of 10.77.0.23", "30s DISCOVER"},
			log:  "eth0: 10.77.0.1 does not renew the lease (NAK)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA))
				l := &leaser{t: t, start: time.Now(), until: tt.until, nak: tt.nak}
				k.Servers["eth0"] = l.serve
				r := keep(t, "", 100*time.Second, k, nil)
				if r.err != nil {
					t.Fatal(r.err)
				}
				if len(l.asked) < len(tt.want) || !slices.Equal(l.asked[:len(tt.want)], tt.want) {
					t.Errorf("asked %q, want %q", l.asked, tt.want)
				}
				if tt.log != "" && !strings.Contains(strings.Join(r.log, "\n"), tt.log) {
					t.Errorf("the console says %q", r.log)
				}
				if len(l.asked) > 20 {
					t.Errorf("%d messages in 100 s", len(l.asked))
				}
			})
		})
	}
}

// What the boot went by stays that, though the first word comes beside it.
func TestKeepBeside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.Ethernet(2, "eth0", macA), linktest.Ethernet(3, "eth1", macB))
		k.Servers["eth0"] = after(15*time.Second, fakekernel.Leases(t, "10.88.0.7/24", fakekernel.Gateway("10.88.0.1")))
		k.Servers["eth1"] = fakekernel.GoodServer(t)
		r := keep(t, "ip=eth0:dhcp ip=eth1:dhcp", time.Minute, k, nil)
		if r.err != nil || r.took != spareServed || r.state.Device != "eth1" || len(r.state.Others) != 0 {
			t.Errorf("%v, %v after %v", r.state, r.err, r.took)
		}
		if r.last.Device != "eth1" || len(r.last.Others) != 1 || r.last.Others[0].Device != "eth0" {
			t.Errorf("in the end %v", r.last)
		}
		if want := "route replace default via 10.88.0.1 dev eth0 metric 200"; !slices.Contains(r.commands, want) {
			t.Errorf("no %q: %q", want, r.commands)
		}
	})
}

// An interface that nobody answered on by the switch stays up if a word is about it: the
// InfiniBand of the root may be on it.
func TestKeepBesideStaysUp(t *testing.T) {
	for _, word := range []string{"ip=eth0:dhcp", "ip=driver=mute:dhcp", "ip=52-54-00-12-34-56:dhcp"} {
		synctest.Test(t, func(t *testing.T) {
			mute := linktest.Ethernet(2, "eth0", macA)
			mute.Driver = "mute"
			k := fakekernel.New(t, mute, linktest.Ethernet(3, "eth1", macB))
			k.Servers["eth1"] = fakekernel.GoodServer(t)
			r := keep(t, word+" ip=eth1:dhcp", time.Minute, k, nil)
			if r.err != nil || r.state.Device != "eth1" || slices.Contains(r.commands, "link set eth0 down") {
				t.Errorf("%s: %v, %v: %q", word, r.state, r.err, r.commands)
			}
		})
	}
}
