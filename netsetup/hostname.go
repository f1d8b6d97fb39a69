package netsetup

import (
	"strings"

	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup/link"
)

// WithName returns the state with the first of the names that can be a host's:
// the answers of a reverse lookup, with or without the dot at the end. As with
// ip=, the host name is the first label and the rest is the domain, unless there
// is one already. ok reports whether there was such a name.
func (s State) WithName(answers []string) (named State, ok bool) {
	for _, a := range answers {
		host, domain, _ := strings.Cut(strings.TrimSuffix(a, "."), ".")
		if !ValidHostname(host) || domain != "" && !link.ValidName(domain) {
			continue
		}
		s.Hostname = host
		if s.Domain == "" {
			s.Domain = domain
		}
		return s, true
	}
	return s, false
}

// Beside returns the state with what another interface knows about the node and this one does
// not: its name and boot server; and all its name and time servers, after this one's own.
func (s State) Beside(o State) State {
	if s.Hostname == "" {
		s.Hostname = o.Hostname
	}
	if s.Domain == "" {
		s.Domain = o.Domain
	}
	if !s.Server.IsValid() {
		s.Server = o.Server
	}
	s.Search, s.DNS, s.NTP = sets.Union(s.Search, o.Search), sets.Union(s.DNS, o.DNS), sets.Union(s.NTP, o.NTP)
	return s
}

// Unnamed says which ifname= arguments have found no device.
func (c Config) Unnamed(have []link.Device) []string {
	var list []string
	for _, r := range c.Renames {
		found := false
		for _, d := range have {
			found = found || d.Hardware() && r.Addr.Identifies(d)
		}
		if !found {
			list = append(
				list,
				"ifname="+r.Name+":"+r.Addr.String()+": no interface has that address yet: check it, and that its "+
					"driver is in the image",
			)
		}
	}
	return list
}
