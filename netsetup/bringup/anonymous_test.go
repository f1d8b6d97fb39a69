package bringup

import (
	"context"
	"fmt"
	"log/slog"
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
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// zeroBond is bond0 of one port without a GUID and one with, which has carrier.
func zeroBond() (first, second, bond link.Device) {
	first, second, bond = zeroPort(), linktest.GuidePort(), linktest.GuidePort()
	first.Carrier = true
	second.Index, second.Name, second.Port, second.Carrier = 6, "ib1", 2, true
	bond.Index, bond.Name, bond.HCA, bond.Port, bond.Physical, bond.Carrier = 9, "bond0", "", 0, false, true
	return first, second, bond
}

// The one port by which the servers know a bond goes, and comes back without a GUID: the
// bond asks nobody, takes no answer, says so, and goes on when the GUID comes.
func TestRunBondAnonymous(t *testing.T) {
	for _, how := range []string{"told", "not told"} {
		t.Run(how, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second, bond := zeroBond()
				k := fakekernel.New(t)
				start := time.Now()
				var asked []string
				late := fakekernel.GoodServer(t)
				k.Servers["bond0"] = func(m *dhcpv4.DHCPv4) []byte {
					asked = append(asked, time.Since(start).Truncate(time.Second).String()+" "+link.HardwareAddr(m.Options.Get(dhcpv4.OptionClientIdentifier)).String())
					if time.Since(start) < 20*time.Second {
						return nil
					}
					return late(m)
				}
				k.Made = func() { k.Appear(first, second, bond) }
				c, err := netsetup.ParseConfig(cmdline.Parse("bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid rd.net.timeout.dhcp=60"))
				if err != nil {
					t.Fatal(err)
				}
				lines := &logLines{start: start}
				r := newRunner(c, node{k}, slog.New(lines))
				go func() {
					<-time.After(500 * time.Millisecond)
					k.Events <- link.Event{Device: second, Gone: true}
					back := second
					back.Index, back.Addr = 16, zeroPort().Addr
					k.Appear(back)
					<-time.After(100 * time.Millisecond)
					m := &dhcpv4.DHCPv4{OpCode: dhcpv4.OpcodeBootReply, Options: dhcpv4.Options{}}
					synctest.Wait() // the runner has its attachments to itself
					key := attachmentKey{index: bond.Index}
					r.arrivals <- arrival{key: key, wire: r.attachments[key].wires[lease.ChannelDHCP], Packet: lease.Packet{Payload: m.ToBytes(), Via: lease.ChannelDHCP}}
					<-time.After(24 * time.Second)
					if how == "told" {
						k.Change("ib1", func(d *link.Device) { d.Addr = linktest.GuideAddr })
						return
					}
					k.Lock()
					k.Ports["mlx4_0/2"] = link.PortState{Phys: "LinkUp", State: "ACTIVE", GID: linktest.GuideAddr[4:]}
					k.Unlock()
				}()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				s, err := r.up(ctx)
				r.close()
				if err != nil || s.String() != "bond0 10.77.0.23/24 by DHCP from 10.77.0.1" {
					t.Errorf("%v, %v", s, err)
				}
				at := map[string]string{"told": "24s ", "not told": "30s "}[how]
				const id = "20:00:02:c9:03:00:00:10:39"
				if diff := cmp.Diff([]string{"0s " + id, at + id, at + id}, asked); diff != "" {
					t.Errorf("asked (-want +got):\n%s", diff)
				}
				want := []string{
					"1s bond0: no port of it has a GUID any more: asking nobody",
					"10s bond0: port GUID is zero (for 10 s): the host must set it (ip link set PF vf N node_guid/port_guid)",
					"20s bond0: port GUID is zero (for 20 s): the host must set it (ip link set PF vf N node_guid/port_guid)",
				}
				if diff := cmp.Diff(want, lines.lines); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// BOOTP and DHCPv6 have one identity, and it is never that of a port without a GUID: a
// bond that has the address of one asks as the other, and as nobody where there is none.
func TestRunBondAsksAsOne(t *testing.T) {
	const gate = "10s bond0: port GUID is zero (for 10 s): the host must set it (ip link set PF vf N node_guid/port_guid)"
	for _, both := range []bool{true, false} {
		t.Run(fmt.Sprint(both), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				first, second, _ := zeroBond()
				bond := zeroPort()
				bond.Index, bond.Name, bond.HCA, bond.Port, bond.Physical, bond.Carrier = 9, "bond0", "", 0, false, true
				k := fakekernel.New(t)
				asked := map[string]bool{}
				good := bootpOf(t, fakekernel.GoodServer(t))
				k.Servers["bond0"] = func(m *dhcpv4.DHCPv4) []byte {
					asked[m.ClientHWAddr.String()] = true
					return good(m)
				}
				k.Made = func() {
					if !both {
						second.Addr = first.Addr
					}
					k.Appear(first, second, bond)
				}
				r := try(t, "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:bootp", 15*time.Second, k, nil)
				if both && (r.err != nil || len(asked) != 1 || !asked["00:02:c9:00:10:39"]) {
					t.Errorf("%v, asked as %v", r.err, asked)
				}
				if !both && (r.err == nil || len(asked) > 0 || !slices.Contains(r.log, gate)) {
					t.Errorf("%v, asked as %v\n%s", r.err, asked, strings.Join(r.log, "\n"))
				}
			})
		})
	}
	r := newRunner(parseLine(t, "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp6"), node{fakekernel.New(t)}, nil)
	first, second, bond := zeroBond()
	bond.Addr = zeroPort().Addr
	for _, d := range []link.Device{first, second, bond} {
		r.attachments[attachmentKey{index: d.Index}] = &attachment{key: attachmentKey{index: d.Index}, dev: d, job: r.jobs[0]}
	}
	x := r.newSix(r.attachments[attachmentKey{index: bond.Index}], bond).(*lease.IPv6)
	if x.Client.IAID != lease.IAIDOf(second) || string(x.Client.DUID) != string(lease.NewDUID("", second)) {
		t.Errorf("DHCPv6 asks as % x", x.Client.DUID)
	}
}

// A bond asks as a port, too, that gets its GUID while the other is asking.
func TestRunBondSecondGUID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second, bond := zeroBond()
		k := fakekernel.New(t)
		theirs := linktest.GuideAddr[:19] + "\x3a"
		guid, _ := theirs.GUID()
		k.Servers["bond0"] = onlyID(t, guid.Typed())
		k.Made = func() { k.Appear(first, second, bond) }
		r := try(t, "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid", time.Minute, k, func() {
			<-time.After(5 * time.Second)
			k.Change("ib0", func(d *link.Device) { d.Addr = theirs })
		})
		if r.err != nil || r.took > 6*time.Second {
			t.Errorf("%v, %v, after %v", r.state, r.err, r.took)
		}
	})
}

// A GUID that comes without the kernel telling of it is found for whoever is to ask by it:
// either family, a P_Key child, a bond; and what has just begun to ask is not told to be
// without an answer.
func TestRunZeroGUIDFound(t *testing.T) {
	for _, line := range []string{
		"ip=ib0:dhcp6", "ip=ib0:auto6", "ip=ib0:dhcp", "ip=ib0:dhcp,dhcp6", "ip=0x0002c90300001039:dhcp6",
		"ib.pkey=ib0.8001 ip=ib0.8001:dhcp", "ib.pkey=ib0.8001 ip=ib0.8001:dhcp6", "ib.pkey=ib0.8001 ip=ib0.8001:auto6",
		"bond=bond0:ib0:mode=1 ip=bond0:dhcp", "bond=bond0:ib0:mode=1 ip=bond0:auto6",
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t)
				for _, name := range []string{"ib0", "ib0.8001", "bond0"} {
					delete(k.Servers, name)
				}
				port := active()
				port.GID = zeroPort().Addr[4:]
				k.Ports["mlx5_2/1"] = port
				rules.Port(zeroPort(), 4092, false)
				r := try(t, line+" nodisk.dhcp.clientid=guid", 45*time.Second, k, func() {
					<-time.After(time.Second)
					rules.Join("ib0", 2044)
					<-time.After(time.Second)
					rules.Join("ib0.8001", 2044)
					<-time.After(11 * time.Second)
					k.Lock()
					defer k.Unlock()
					port.GID = linktest.GuideAddr[4:]
					k.Ports["mlx5_2/1"] = port
				})
				var zero, asking []string
				for _, text := range r.log {
					switch {
					case strings.Contains(text, "port GUID is zero"):
						zero = append(zero, text[:3])
					case strings.Contains(text, "no DHCP answer"), strings.Contains(text, "no link-local address"):
						asking = append(asking, text[:3])
					}
					if strings.Contains(text, "after 0 s") {
						t.Error(text)
					}
				}
				if !slices.Equal(zero, []string{"10s"}) || !slices.Equal(asking, []string{"30s", "40s"}) {
					t.Errorf("told at %q and %q: %q", zero, asking, r.log)
				}
			})
		})
	}
}

// The kernel may tell of an interface, without a GUID, after that was read from the port:
// who is asked is asked on. What the kernel tells with a GUID goes before.
func TestRunZeroGUIDKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := linktest.WithCarrier(zeroPort())
		k := fakekernel.New(t, d)
		p := active()
		p.GID = linktest.GuideAddr[4:]
		k.Ports["mlx5_2/1"] = p
		var secs []uint16
		k.Servers["ib0"] = func(m *dhcpv4.DHCPv4) []byte { secs = append(secs, m.NumSeconds); return nil }
		r := try(t, "ip=ib0:dhcp nodisk.dhcp.clientid=guid", 65*time.Second, k, func() {
			for i := range 12 {
				<-time.After(5 * time.Second)
				k.Change("ib0", func(d *link.Device) { d.MTU = 2000 + i })
			}
		})
		if !slices.IsSorted(secs) || slices.ContainsFunc(r.log, func(s string) bool { return strings.Contains(s, "carrier lost") || strings.Contains(s, "any more") }) {
			t.Errorf("began anew: %v, log %q", secs, r.log)
		}
	})
	n := attachment{gid: linktest.GuideAddr[4:]}
	other := linktest.GuidePort()
	other.Addr = linktest.GuideAddr[:19] + "\x3a"
	for _, d := range []link.Device{zeroPort(), linktest.GuidePort(), other, zeroPort()} {
		want := d.Addr
		if n.gid != "" && !d.Identified() {
			want = linktest.GuideAddr
		}
		if got := n.withGUID(d).Addr; got != want {
			t.Errorf("%v is %v, want %v", d.Addr, got, want)
		}
	}
	if n.gid != "" {
		t.Error("the kernel has told of another GUID")
	}
}
