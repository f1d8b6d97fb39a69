package netsetup

import "strings"

// WithName returns the state with the first of the names that can be a host's:
// the answers of a reverse lookup, with or without the dot at the end. As with
// ip=, the host name is the first label and the rest is the domain, unless there
// is one already. ok tells whether there was such a name.
func (s State) WithName(answers []string) (named State, ok bool) {
	for _, a := range answers {
		host, domain, _ := strings.Cut(strings.TrimSuffix(a, "."), ".")
		if !validHostname(host) || domain != "" && !validName(domain) {
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
