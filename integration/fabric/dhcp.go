package fabric

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/integration/lab"
)

// A Result is what came of a boot on a fabric.
type Result struct {
	lab.BootResult
	// Address is {client}, GUID {guid}.
	Address, GUID string
	// Server is what dnsmasq logged of the node's DHCP messages: the lines of
	// all transactions in which its GUID occurs, or the 6-byte form of that.
	Server []string
}

// Discovers counts the DHCPDISCOVER messages that reached the server.
func (r Result) Discovers() int {
	n := 0
	for _, l := range r.Server {
		if strings.Contains(l, "DHCPDISCOVER(") {
			n++
		}
	}
	return n
}

// dhcp starts the fabric's DHCP server.
func (f *Fabric) dhcp(ctx context.Context) error {
	return f.service(ctx, "dnsmasq", `^server: dnsmasq: .*DHCP, .* on 10\.77\.`)
}

// reserve gives the node its address and root-path by DHCP.
func (f *Fabric) reserve(ctx context.Context, b Boot, p *place) error {
	if b.Static {
		return nil
	}
	if err := f.dhcp(ctx); err != nil {
		return err
	}
	if b.Reserve == "" {
		return nil
	}
	if b.Partition > 0 && b.Partition == f.spec.Relayed {
		host := fmt.Sprintf(`host %s { %s; fixed-address %s; option root-path "%s"; }`,
			b.Name, lab.Fill(b.Reserve, p.values), p.values["client"], lab.Fill(b.RootOption(), p.values))
		if _, err := f.server.Run(ctx, "echo '"+host+"' >/run/dhcpd.host"); err != nil {
			return err
		}
		return f.service(ctx, "dhcpd", `^server: dhcpd: Server starting service\.`)
	}
	// Files of the node's own, which dnsmasq takes when they are closed. They
	// stay: a port's number is not used twice.
	file := strconv.Itoa(p.number)
	commands := []string{fmt.Sprintf("echo '%s,set:n%s,%s,%s' >/run/hosts/%s", lab.Fill(b.Reserve, p.values), file,
		p.values["client"], b.Name, file)}
	last := "hosts"
	var options []string
	if path := lab.Fill(b.RootOption(), p.values); path != "" {
		options = append(options, `17,"`+path+`"`)
	}
	if options = append(options, b.Options...); len(options) > 0 {
		// One write, and so one file that dnsmasq takes.
		commands = append(commands, fmt.Sprintf(`printf 'tag:n%s,%%s\n' '%s' >/run/options/%s`,
			file, strings.Join(options, "' '"), file))
		last = "options"
	}
	mark := f.server.Mark()
	if _, err := f.server.Run(ctx, strings.Join(commands, " && ")); err != nil {
		return err
	}
	return f.server.Await(ctx, mark, `^server: dnsmasq: .*read /run/`+last+`/`+file+`$`)
}

// transactions returns dnsmasq's log lines of the DHCP transactions in which
// one of the identities occurs.
func (f *Fabric) transactions(mark int, ids ...string) ([]string, error) {
	lines, err := f.server.Since(mark, `^server: dnsmasq: dnsmasq-dhcp: \d+ `)
	if err != nil {
		return nil, err
	}
	return ofTransactions(lines, ids...), nil
}

// ofTransactions selects the lines whose transaction has a line with one of
// the identities. A line is "server: dnsmasq: dnsmasq-dhcp: XID ...".
func ofTransactions(lines []string, ids ...string) []string {
	xid := func(l string) string {
		_, rest, _ := strings.Cut(l, "dnsmasq-dhcp: ")
		number, _, _ := strings.Cut(rest, " ")
		return number
	}
	ours := map[string]bool{}
	for _, l := range lines {
		for _, id := range ids {
			if strings.Contains(l, id) {
				ours[xid(l)] = true
			}
		}
	}
	var found []string
	for _, l := range lines {
		if ours[xid(l)] {
			found = append(found, l)
		}
	}
	return found
}
