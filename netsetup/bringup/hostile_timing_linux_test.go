package bringup

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Nothing answers for a time: because a port of a switch with spanning tree has
// carrier and drops everything, or because there is no server yet. The lease
// comes soon after, the messages before it thin out as RFC 2131 section 4.1
// wants it, and the console says every 10 s what is waited for.
func TestUpNothingYet(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	const quiet = 12 * time.Second
	// By name of the case: when the DISCOVERs came.
	times := make(chan []time.Duration, 8)
	sideBySide(t, map[string]bool{"spanning tree": true, "no server": false, "no server, another node": false, "no server, a third node": false},
		func(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix, tree bool) {
			f := fault(func(_ time.Duration, _ bool, frame []byte) []delivery { return pass(frame) })
			if tree {
				f = forwardsAfter(quiet)
			}
			b := newBadCable(t, dev, mac, server, f)
			b.script(func(m *dhcpv4.DHCPv4) [][]byte {
				if time.Since(b.begun) < quiet {
					return nil
				}
				return good(server)(m)
			})
			s, buf, err := upBeside(t, "ip="+dev+":dhcp", 40*time.Second)
			if err != nil || s.Device != dev {
				t.Fatalf("%v, %v", s, err)
			}
			leased := b.sent(dhcpv4.MessageTypeRequest)[0].at
			if longest := quiet + lease.MaxRetransmit*5/4 + noWait; leased < quiet || leased > longest {
				t.Errorf("REQUEST after %v, expected %v to %v", leased, quiet, longest)
			}
			discovers := b.sent(dhcpv4.MessageTypeDiscover)
			checkBackOff(t, discovers)
			checkSeconds(t, discovers)
			checkConsole(t, buf, leased)
			if !regexp.MustCompile(`no DHCP answer after 10 s \([456] DISCOVERs sent, carrier up\)`).MatchString(buf.String()) {
				t.Error("the console does not say what is waited for")
			}
			if !tree {
				var at []time.Duration
				for _, d := range discovers {
					at = append(at, d.at-discovers[0].at)
				}
				times <- at
			}
		})
	close(times)
	// Nodes that were switched on together drift apart.
	seen := map[string]bool{}
	for at := range times {
		seen[fmt.Sprint(at[len(at)-1].Round(100*time.Millisecond))] = true
	}
	if len(seen) < 2 {
		t.Errorf("all nodes sent at the same times: %v", seen)
	}
}

// checkBackOff compares the times of messages with the constants of the
// exchange: each interval doubles up to the longest, give or take a quarter. A
// busy machine may send late, and then the next message seems early. The first
// message may be there twice: it is sent again when the kernel says that the
// link runs, up to a second later, and the intervals go on from then.
func checkBackOff(t *testing.T, sent []dhcpFrame) {
	t.Helper()
	if len(sent) < 2 || len(wrongIntervals(sent, 0)) == 0 {
		return
	}
	for _, text := range wrongIntervals(sent[1:], 1) {
		t.Error(text)
	}
}

func wrongIntervals(sent []dhcpFrame, before int) (wrong []string) {
	for i := 1; i < len(sent); i++ {
		want := min(lease.FirstRetransmit<<min(before+i-1, 10), lease.MaxRetransmit)
		if got := sent[i].at - sent[i-1].at; got < want*3/4-noWait || got > want*5/4+noWait {
			wrong = append(wrong, fmt.Sprintf("message %d is sent %v after the one before, expected %v and a quarter more or less", i+1, got, want))
		}
	}
	return wrong
}

// checkSeconds compares the field secs with the time since the first message:
// relays and servers that stand by look at it (RFC 2131 section 2).
func checkSeconds(t *testing.T, sent []dhcpFrame) {
	t.Helper()
	for _, f := range sent {
		if d := (f.at - sent[0].at).Seconds() - float64(f.NumSeconds); d < -0.5 || d > 1.5 {
			t.Errorf("secs is %d, %v after the first message", f.NumSeconds, f.at-sent[0].at)
		}
	}
}

// checkConsole allows one line above debug every 10 s.
func checkConsole(t *testing.T, buf *lockedBuffer, took time.Duration) {
	t.Helper()
	if n := strings.Count(buf.String(), "level=WARN"); n > int(took/lease.LogEvery) {
		t.Errorf("%d lines on the console in %v", n, took)
	}
}
