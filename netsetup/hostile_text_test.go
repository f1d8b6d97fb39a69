package netsetup

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/insomniacslk/dhcp/dhcpv4"
)

// hostileTexts are what a server may put where a name or a path belongs.
func hostileTexts() map[string]string {
	return map[string]string{
		"escape":    "node\x1b[2J\x1b]0;owned\a",
		"line":      "node\nnameserver 6.6.6.6\noptions attempts:9",
		"return":    "node\rnodisk: all is well",
		"NUL":       "no\x00de",
		"space":     "node 6.6.6.6",
		"not UTF-8": "node\xff\xfe",
		"C1":        "node\u009b31m",
		"C1 byte":   "node\x9b31m",
		"direction": "node\u202eedon",
		"zero":      "no\u200bde",
		"255 bytes": strings.Repeat("\x1b", 255),
		"long":      strings.Repeat("n", 255),
		"dots":      "node..example",
		"hyphen":    "-node.example",
		"label":     strings.Repeat("n", 64) + ".example",
	}
}

// labels is one name as DNS writes it.
func labels(name string) []byte {
	var b []byte
	for label := range strings.SplitSeq(name, ".") {
		label = label[:min(len(label), 63)]
		b = append(append(b, byte(len(label))), label...)
	}
	return append(b, 0)
}

// clean checks that a text which is written somewhere is one line, or lines of
// resolv.conf, of what is shown and no more.
func clean(t *testing.T, what, text string) {
	t.Helper()
	if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Errorf("%s as it came: %q", what, text)
	}
}

// What a DHCP server says of the node ends up in files, in the host name and on
// the console: of a hostile one nothing does but a word about it, once, and the
// rest of the lease counts.
func TestHostileTextOfDHCP(t *testing.T) {
	for name, hostile := range hostileTexts() {
		t.Run(name, func(t *testing.T) {
			for _, option := range []struct {
				code dhcpv4.OptionCode
				raw  []byte
				of   func(Lease) string
			}{
				{dhcpv4.OptionHostName, []byte(hostile), func(l Lease) string { return l.Hostname }},
				{dhcpv4.OptionDomainName, []byte(hostile), func(l Lease) string { return l.Domain }},
				{dhcpv4.OptionRootPath, []byte("10.77.0.1:/srv/" + hostile), func(l Lease) string { return l.RootPath }},
				{optionInitiatorName, []byte("iqn.2026-01.example:" + hostile), func(l Lease) string { return l.InitiatorName }},
				{dhcpv4.OptionDNSDomainSearchList, labels(hostile), func(l Lease) string { return strings.Join(l.Search, "") }},
				{dhcpv4.OptionDNSDomainSearchList, append(labels("good.example"), labels(hostile)...), func(l Lease) string { return strings.Join(l.Search, "") }},
			} {
				now := time.Unix(1000, 0)
				x := testExchange()
				spoil := func(m *dhcpv4.DHCPv4) {
					m.UpdateOption(dhcpv4.OptGeneric(option.code, option.raw))
					m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, []byte{10, 77, 0, 1}))
				}
				request := firstSent(x.receive(now, heard(answer(t, firstSent(x.start(now)), dhcpv4.MessageTypeOffer, spoil))))
				if request == nil {
					t.Fatalf("option %d: the offer is not taken", option.code.Code())
				}
				o := x.receive(now, heard(answer(t, request, dhcpv4.MessageTypeAck, spoil)))
				if o.lease == nil {
					t.Fatalf("option %d: the lease is lost: %s", option.code.Code(), o.note)
				}
				kept := option.of(*o.lease)
				clean(t, fmt.Sprintf("option %d", option.code.Code()), kept)
				clean(t, fmt.Sprintf("the note about option %d", option.code.Code()), o.note)
				if kept == "" && o.note == "" {
					t.Errorf("option %d: not a word about %q", option.code.Code(), option.raw)
				}
				if len(o.note) > 400 {
					t.Errorf("option %d: a note of %d bytes", option.code.Code(), len(o.note))
				}
				state := Config{}.state(Interface{Method: MethodDHCP}, Device{Name: "eth0", Addr: macA}, *o.lease)
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
		if !validName(name) {
			t.Errorf("search domain %q", name)
		}
	}
	clean(t, "search line", search)
	if rest != servers {
		t.Errorf("resolv.conf has %q, want %q", rest, servers)
	}
}

// A refusal holds the server's words: what a terminal would take for an order is
// left out.
func TestHostileTextOfRefusals(t *testing.T) {
	for name, hostile := range hostileTexts() {
		now := time.Unix(1000, 0)
		x := testExchange()
		request := firstSent(x.receive(now, heard(answer(t, firstSent(x.start(now)), dhcpv4.MessageTypeOffer))))
		o := x.receive(now, heard(answer(t, request, dhcpv4.MessageTypeNak, func(m *dhcpv4.DHCPv4) {
			m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionMessage, []byte(hostile)))
		})))
		clean(t, name+": note", o.note)
		clean(t, name+": waiting", x.waiting(now))
	}
	// 70 letters of two bytes: the end is between two of them.
	now := time.Unix(1000, 0)
	x := testExchange()
	request := firstSent(x.receive(now, heard(answer(t, firstSent(x.start(now)), dhcpv4.MessageTypeOffer))))
	o := x.receive(now, heard(answer(t, request, dhcpv4.MessageTypeNak, func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionMessage, []byte("x"+strings.Repeat("ö", 70))))
	})))
	clean(t, "note", o.note)
}

// Whatever a state holds, its resolv.conf is addresses and names.
func TestHostileResolvConf(t *testing.T) {
	for _, hostile := range hostileTexts() {
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

// The lists of a server have an end, and so has what is said of them: option 119
// packs hundreds of names into one packet.
func TestHostileLists(t *testing.T) {
	now := time.Unix(1000, 0)
	x := testExchange()
	var search, servers []byte
	for i := range 100 {
		search = append(search, labels(fmt.Sprintf("d%d.example", i%50))...)
		search = append(search, labels(fmt.Sprintf("bad name %d", i))...)
		servers = append(servers, 10, 0, 0, byte(i+1))
	}
	spoil := func(m *dhcpv4.DHCPv4) {
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDNSDomainSearchList, search))
		m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionDomainNameServer, servers))
	}
	request := firstSent(x.receive(now, heard(answer(t, firstSent(x.start(now)), dhcpv4.MessageTypeOffer, spoil))))
	o := x.receive(now, heard(answer(t, request, dhcpv4.MessageTypeAck, spoil)))
	if o.lease == nil {
		t.Fatalf("no lease: %s", o.note)
	}
	if len(o.lease.Search) != mostNames || len(o.lease.DNS) != mostNames {
		t.Errorf("%d search domains, %d name servers", len(o.lease.Search), len(o.lease.DNS))
	}
	if len(o.note) > 400 || !strings.Contains(o.note, `search domain "bad name 0" is not usable`) || !strings.Contains(o.note, " more") {
		t.Errorf("note of %d bytes: %s", len(o.note), o.note)
	}
}
