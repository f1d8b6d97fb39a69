package pxe

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/nodisk/nodisk/netsetup/link"
)

// Wake is what is said of waking a node, or the nodes of a group.
type Wake struct {
	Order    *int // smaller ones first; nil is 0
	Never    *bool
	MAC      link.HardwareAddr // of the port that listens, where it is not the one that boots
	Password []byte            // of SecureOn, 4 or 6 bytes; empty for none
}

// under returns it with what it leaves open taken from that above.
func (w Wake) under(above Wake) Wake {
	w.Order, w.Never = cmp.Or(w.Order, above.Order), cmp.Or(w.Never, above.Never)
	if len(w.Password) == 0 {
		w.Password = above.Password
	}
	return w
}

// wake reads the keys of waking; false in their place is "never".
func (p *parser) wake(v *yaml.Node, what string) Wake {
	var w Wake
	if v.Kind == yaml.ScalarNode {
		b, err := strconv.ParseBool(v.Value)
		if err != nil {
			p.bad(at(v), "%s %s: write true, false (never wake it), or the keys order, mac and password",
				what, shown(v.Value))
			return w
		}
		never := !b
		return Wake{Never: &never}
	}
	p.fields(v, what, map[string]func(*yaml.Node){
		"order": func(v *yaml.Node) {
			i, err := strconv.Atoi(p.text(v, what+": order"))
			if err != nil || i < -1_000_000 || i > 1_000_000 {
				p.bad(at(v), "%s: order %q: write a whole number, the smaller the earlier", what, clip(v.Value))
				return
			}
			w.Order = &i
		},
		"mac": func(v *yaml.Node) { w.MAC = p.mac(v, what+": mac") },
		"password": func(v *yaml.Node) {
			b, err := ParsePassword(p.text(v, what+": password"))
			if err != nil {
				p.bad(at(v), "%s: password %v", what, err)
			}
			w.Password = b
		},
	})
	return w
}

// ParsePassword reads a SecureOn password as etherwake takes it: four bytes as
// in an IPv4 address, or six as in a MAC. Errors do not repeat it.
func ParsePassword(s string) ([]byte, error) {
	if a, err := netip.ParseAddr(s); err == nil && a.Is4() {
		return a.AsSlice(), nil
	}
	if a, err := ParseMAC(s); err == nil {
		return []byte(a), nil
	}
	return nil, errors.New("is not four bytes (192.168.1.1) or six (00:11:22:33:44:55)")
}

// A Sleeper is a node that can be woken.
type Sleeper struct {
	Name     string
	MAC      link.HardwareAddr
	Password []byte
	// Broadcast is that of its subnet, the zero value where it is not known.
	Broadcast netip.Addr
}

// Sleepers are the nodes to wake, those of smaller order first, and in the order
// of the description. names choose nodes, groups those that are of one of
// them; with neither it is all nodes but those that say wake: false. Names that
// are unknown, or of nodes that cannot be woken, are errors, joined; other nodes
// that cannot be woken are left out, and told in notes.
func (n Nodes) Sleepers(names, groups []string) (list []Sleeper, notes []string, err error) {
	x := newIndex(&n)
	type candidate struct {
		Sleeper
		order int
	}
	var (
		all  []candidate
		errs []error
	)
	chosen, known := map[string]bool{}, map[string]bool{}
	for _, name := range names {
		chosen[strings.ToLower(name)] = true
	}
	for _, g := range groups {
		if x.groups[g] == nil {
			errs = append(errs, fmt.Errorf("there is no group %q in %s", g, n.File))
		}
	}
	for _, d := range n.Nodes {
		known[d.Name] = true
		named := chosen[d.Name]
		if !named && len(names)+len(groups) > 0 && !slices.Contains(groups, d.Group) {
			continue
		}
		w := d.Wake
		if g := x.groups[d.Group]; g != nil {
			w = w.under(g.Wake)
		}
		if !named && w.Never != nil && *w.Never {
			continue
		}
		c := candidate{Sleeper: Sleeper{Name: d.Name, MAC: cmp.Or(w.MAC, d.MAC), Password: w.Password}}
		if w.Order != nil {
			c.order = *w.Order
		}
		if s := x.subnet(d.IP); s != nil {
			c.Broadcast = broadcast(s.Prefix)
		}
		if c.MAC == "" {
			cannot := problem{file: n.File, at: d.At, text: "node " + d.Name + " boots from InfiniBand, and no " +
				"InfiniBand port is woken by a magic packet: " +
				"write wake: { mac: ... } with the address of an Ethernet port of it, or wake: false"}
			if named {
				errs = append(errs, cannot)
			} else {
				notes = append(notes, cannot.Error())
			}
			continue
		}
		all = append(all, c)
	}
	if more := len(notes) - maxTold; more > 0 {
		notes = append(notes[:maxTold], fmt.Sprintf("and %d more nodes that boot from InfiniBand, which are not shown",
			more))
	}
	for _, name := range names {
		if !known[strings.ToLower(name)] {
			errs = append(errs, fmt.Errorf("there is no node %q in %s", name, n.File))
		}
	}
	slices.SortStableFunc(all, func(a, b candidate) int { return cmp.Compare(a.order, b.order) })
	for _, c := range all {
		list = append(list, c.Sleeper)
	}
	return list, notes, errors.Join(errs...)
}
