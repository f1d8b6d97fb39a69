package netsetup

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

// What a DHCP server says of the node ends up in files, in the host name and on
// the console: of a hostile one nothing does but a word about it, once, and the
// rest of the lease counts.
func TestHostileTextOfDHCP(t *testing.T) {
	for name, hostile := range leasetest.HostileTexts() {
		t.Run(name, func(t *testing.T) {
			for _, option := range []struct {
				code dhcpv4.OptionCode
				raw  []byte
				of   func(lease.Lease) string
			}{
				{dhcpv4.OptionHostName, []byte(hostile), func(l lease.Lease) string { return l.Hostname }},
				{dhcpv4.OptionDomainName, []byte(hostile), func(l lease.Lease) string { return l.Domain }},
				{dhcpv4.OptionRootPath, []byte("10.77.0.1:/srv/" + hostile), func(l lease.Lease) string { return l.RootPath }},
				{dhcpv4.GenericOptionCode(203), []byte("iqn.2026-01.example:" + hostile), func(l lease.Lease) string { return l.InitiatorName }},
				{dhcpv4.OptionDNSDomainSearchList, leasetest.Labels(hostile), func(l lease.Lease) string { return strings.Join(l.Search, "") }},
				{dhcpv4.OptionDNSDomainSearchList, append(leasetest.Labels("good.example"), leasetest.Labels(hostile)...), func(l lease.Lease) string { return strings.Join(l.Search, "") }},
			} {
				now := time.Unix(1000, 0)
				x := testExchange()
				spoil := func(m *dhcpv4.DHCPv4) {
					m.UpdateOption(dhcpv4.OptGeneric(option.code, option.raw))
					m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, []byte{10, 77, 0, 1}))
				}
				request := firstSent(x.Receive(now, heard(leasetest.Answer(t, firstSent(x.Start(now)), dhcpv4.MessageTypeOffer, spoil))))
				if request == nil {
					t.Fatalf("option %d: the offer is not taken", option.code.Code())
				}
				o := x.Receive(now, heard(leasetest.Answer(t, request, dhcpv4.MessageTypeAck, spoil)))
				if o.Lease == nil {
					t.Fatalf("option %d: the lease is lost: %s", option.code.Code(), o.Note)
				}
				kept := option.of(*o.Lease)
				leasetest.Clean(t, fmt.Sprintf("option %d", option.code.Code()), kept)
				leasetest.Clean(t, fmt.Sprintf("the note about option %d", option.code.Code()), o.Note)
				if kept == "" && o.Note == "" {
					t.Errorf("option %d: not a word about %q", option.code.Code(), option.raw)
				}
				if len(o.Note) > 400 {
					t.Errorf("option %d: a note of %d bytes", option.code.Code(), len(o.Note))
				}
				state := Config{}.State(Addressing{Method: lease.MethodDHCP}, link.Device{Name: "eth0", Addr: macA}, *o.Lease)
				checkResolvConf(t, state.ResolvConf(), "nameserver 10.77.0.1\n")
				if strings.ContainsAny(state.Hostname, " \n\x1b") {
					t.Errorf("host name %q", state.Hostname)
				}
			}
		})
	}
}

// checkResolvConf checks that there is at most one search line of names, and
// that the name servers are the wanted.
func checkResolvConf(t *testing.T, got, servers string) {
	t.Helper()
	search, rest, ok := strings.Cut(got, "\n")
	if !ok || !strings.HasPrefix(search, "search ") {
		search, rest = "search", got
	}
	for _, name := range strings.Fields(search)[1:] {
		if !link.ValidName(name) {
			t.Errorf("search domain %q", name)
		}
	}
	leasetest.Clean(t, "search line", search)
	if rest != servers {
		t.Errorf("resolv.conf has %q, want %q", rest, servers)
	}
}

// Whatever a state holds, its resolv.conf is addresses and names.
func TestHostileResolvConf(t *testing.T) {
	for _, hostile := range leasetest.HostileTexts() {
		s := State{Domain: hostile, Search: []string{hostile, "good.example", "absolute.example."}, DNS: []netip.Addr{addr("10.0.0.1")}}
		checkResolvConf(t, s.ResolvConf(), "nameserver 10.0.0.1\n")
		if !strings.HasPrefix(s.ResolvConf(), "search good.example absolute.example.\n") {
			t.Errorf("%q", s.ResolvConf())
		}
	}
	if got := (State{Domain: "a\nb"}).ResolvConf(); got != "" {
		t.Errorf("%q, want nothing", got)
	}
}
