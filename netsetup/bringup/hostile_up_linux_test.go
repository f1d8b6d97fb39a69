package bringup

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Servers do what they should not, and the node gets the lease that a good one
// gives, with few messages and sentences that tell what was wrong.
func TestUpHostileServers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	sideBySide(t, badServers(), func(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix, bad badServer) {
		c := newCable(t, dev, mac, server)
		c.connected(dev)
		for _, last := range []byte{inUse, inUse + 1} {
			c.alsoHas(netip.PrefixFrom(in4(server, last), 32))
		}
		heard := c.script(bad.script(server))
		s, buf, err := upBeside(t, "ip="+dev+":dhcp", 60*time.Second)
		if err != nil || s.Lease == nil {
			t.Fatalf("%v, %v; the server heard %s", s, err, heard)
		}
		want := goodLease(server)
		if bad.change != nil {
			bad.change(server, &want)
		}
		if diff := cmp.Diff(want, *s.Lease, byValue()); diff != "" {
			t.Errorf("lease (-want +got):\n%s", diff)
		}
		for _, m := range heard.of(dhcpv4.MessageTypeDecline) {
			// RFC 2131 table 5: these three options, and no ciaddr.
			if !m.ClientIPAddr.IsUnspecified() || m.RequestedIPAddress() == nil || m.ServerIdentifier() == nil || len(m.Options) != 4 {
				t.Errorf("DECLINE: %s", m.Summary())
			}
		}
		if got := heard.once(); bad.heard != "" && !strings.HasPrefix(got, bad.heard) {
			t.Errorf("the server heard %s, expected %s", got, bad.heard)
		}
		atMost := bad.atMost
		if atMost == 0 {
			atMost = 12
		}
		if n := len(strings.Fields(heard.String())); n > atMost {
			t.Errorf("the server heard %d messages, expected at most %d: %s", n, atMost, heard)
		}
		for _, text := range bad.console {
			if !strings.Contains(buf.String(), text) {
				t.Errorf("the console has no %q", text)
			}
		}
		if n := strings.Count(buf.String(), "level=WARN"); n > 6+int(s.Took/time.Second) {
			t.Errorf("%d lines on the console in %v", n, s.Took)
		}
		if strings.ContainsAny(buf.String(), "\x1b\x00") || strings.Contains(buf.String(), `\x1b[2J`) && !strings.Contains(buf.String(), `\\x1b[2J`) {
			t.Error("escape codes reach the console")
		}
	})
}

// once is String with one word for messages that are sent again.
func (s *scripted) once() string {
	return strings.Join(slices.Compact(strings.Fields(s.String())), " ")
}

// A server that refuses forever is asked less and less often, and the console
// says so.
func TestUpHostileForEver(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	type never struct {
		script  func(netip.Prefix) script
		atMost  int
		console string
	}
	const patience = 15 * time.Second
	sideBySide(t, map[string]never{
		"NAKs": {func(server netip.Prefix) script {
			return first(1000, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte { return [][]byte{reply(server, m, kindNak)} })(server)
		}, 11, "refused its own offer (NAK)"},
		"ACKs without mask": {func(server netip.Prefix) script {
			return first(1000, kindRequest, func(server netip.Prefix, m *dhcpv4.DHCPv4) [][]byte {
				return [][]byte{reply(server, m, kindAck, without(1))}
			})(server)
		}, 11, "no subnet mask (option 1)"},
		"offers without mask": {gives(without(1)), 7, "no subnet mask (option 1)"},
		"offers cut short": {func(netip.Prefix) script {
			return func(m *dhcpv4.DHCPv4) [][]byte {
				return [][]byte{reply(netip.MustParsePrefix("10.0.0.1/8"), m, kindOffer)[:250]}
			}
		}, 7, "answer cannot be read"},
		"never confirms": {func(server netip.Prefix) script {
			return first(1000, kindRequest, func(netip.Prefix, *dhcpv4.DHCPv4) [][]byte { return nil })(server)
		}, 9, "has not confirmed it"},
		"only noise": {func(netip.Prefix) script {
			r := rand.New(rand.NewPCG(3, 4))
			return func(m *dhcpv4.DHCPv4) [][]byte {
				var all [][]byte
				for range 200 {
					b := slices.Clone(m.ToBytes())
					b[0] = byte(dhcpv4.OpcodeBootReply)
					for i := 240; i < len(b); i++ {
						b[i] = byte(r.Uint32())
					}
					all = append(all, b)
				}
				return all
			}
		}, 20, "no DHCP"},
	}, func(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix, n never) {
		c := newCable(t, dev, mac, server)
		c.connected(dev)
		heard := c.script(n.script(server))
		_, buf, err := upBeside(t, "ip="+dev+":dhcp", patience)
		if err == nil || !strings.Contains(err.Error(), n.console) {
			t.Errorf("%v, expected %q", err, n.console)
		}
		if got := len(strings.Fields(heard.String())); got > n.atMost {
			t.Errorf("%d messages in %v, expected at most %d: %s", got, patience, n.atMost, heard)
		}
		// One line every 10 s, and a few for new facts in between.
		if lines := strings.Count(buf.String(), "level=WARN"); lines > 10 {
			t.Errorf("%d lines on the console in %v", lines, patience)
		}
		if got := show(t, dev); len(got) != 1 {
			t.Errorf("an address without a lease: %s", fmt.Sprint(got))
		}
	})
}
