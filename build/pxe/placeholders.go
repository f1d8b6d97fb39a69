package pxe

import (
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// values are those of the placeholders, as far as they are known.
func (r *renderer) values(d *Node, addr netip.Addr) map[string]string {
	v := map[string]string{}
	set := func(key string, a netip.Addr) {
		if a.IsValid() {
			v[key] = a.String()
		}
	}
	set("server", r.n.Server)
	if s := r.subnet(addr); s != nil {
		set("gateway", s.Gateway)
		set("mask", netmask(s.Prefix))
		if s.Domain != "" {
			v["domain"] = s.Domain
		}
	}
	if d != nil {
		v["name"], v["mac"] = d.Name, d.mac().String()
		set("ip", d.IP)
		if d.infiniBand() {
			v["guid"] = d.GUID.String()
		}
	}
	return v
}

// addresses are the placeholders of ports' addresses: bytes with colons, or with dashes.
func addresses() []string { return []string{"mac", "guid"} }

// colonsSeparate reports whether colons stand between the fields of a key's value, so that addresses in it have dashes.
func colonsSeparate(key string) bool {
	return slices.ContainsFunc([]string{"ip", "bond", "vlan", "bridge", "rd.route", "rd.net.dhcp.client-id"},
		func(k string) bool { return cmdline.SameKey(key, k) })
}

// fill puts values in the places of their names, and returns the names that have none. Words are
// separated by one space.
func fill(line string, values map[string]string) (filled string, missing []string) {
	dashed := maps.Clone(values)
	for _, name := range addresses() {
		if v, ok := values[name]; ok {
			dashed[name] = dashes(v)
		}
	}
	words := strings.Split(line, " ")
	for i, w := range words {
		key, _, _ := strings.Cut(w, "=")
		form := values
		if colonsSeparate(key) {
			form = dashed
		}
		var absent []string
		words[i], absent = expand(w, form)
		for _, name := range absent {
			if !slices.Contains(missing, name) {
				missing = append(missing, name)
			}
		}
	}
	return strings.Join(words, " "), missing
}

// common makes a sentence about the command line of the entry one about those of all entries with that template: it
// has placeholders where the sentence has the addresses of one node, which no remedy may write for all.
func (e entry) common() *strings.Replacer {
	var pairs []string
	for _, name := range addresses() {
		if v, placeholder := e.values[name], "{"+name+"}"; v != "" && strings.Contains(e.template, placeholder) {
			pairs = append(pairs, v, placeholder, dashes(v), placeholder)
		}
	}
	return strings.NewReplacer(pairs...)
}

// expand puts values in the places of their names, and returns the names that
// have none.
func expand(s string, values map[string]string) (line string, missing []string) {
	var b strings.Builder
	for {
		begin := strings.IndexByte(s, '{')
		if begin < 0 {
			b.WriteString(s)
			return b.String(), missing
		}
		b.WriteString(s[:begin])
		s = s[begin:]
		end := 1
		for end < len(s) && s[end] >= 'a' && s[end] <= 'z' {
			end++
		}
		if end == len(s) || s[end] != '}' { // a brace like any other
			b.WriteByte('{')
			s = s[1:]
			continue
		}
		name := s[:end+1]
		v, ok := values[s[1:end]]
		if !ok && !slices.Contains(missing, name) {
			missing = append(missing, name)
		}
		b.WriteString(v)
		s = s[end+1:]
	}
}

func onlyOfNodes(names []string) bool {
	for _, n := range names {
		if !slices.Contains([]string{"{name}", "{ip}", "{mac}", "{guid}", "{gateway}", "{mask}", "{domain}"}, n) {
			return false
		}
	}
	return true
}
