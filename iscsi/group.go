package iscsi

import (
	"net/netip"
	"slices"
)

// A Group is what one session is for: a target, the portals that lead to it, and
// the logical units that are wanted of it.
type Group struct {
	Name    string
	Portals []Target // alternatives, of which one is enough
	Units   Units
}

// GroupByName groups targets by their name. A second session of one initiator with
// one portal would end the first, so several logical units share one; different
// targets are all attached. Where no LUN is named and the root is chosen by what is
// on it, every disk of the target is looked at.
func GroupByName(named []Target, chosen bool) []Group {
	var groups []Group
	for _, t := range named {
		i := slices.IndexFunc(groups, func(g Group) bool { return g.Name == t.Name })
		if i < 0 {
			i = len(groups)
			groups = append(groups, Group{Name: t.Name})
		}
		g := &groups[i]
		if !slices.ContainsFunc(g.Portals, func(p Target) bool { return p.Portal == t.Portal }) {
			g.Portals = append(g.Portals, t)
		}
		switch {
		case t.AnyLUN && chosen:
			g.Units.All = true
		case t.AnyLUN:
			g.Units.Default = true
		case !slices.Contains(g.Units.LUNs, t.LUN):
			g.Units.LUNs = append(g.Units.LUNs, t.LUN)
		}
	}
	return groups
}

// Has reports whether a portal is one of the group's, or may be: of a host name that
// no name server has answered for, nobody knows.
func (g Group) Has(p Portal) bool {
	return slices.ContainsFunc(g.Portals, func(t Target) bool {
		_, err := netip.ParseAddr(t.Portal.Host)
		return t.Portal == p || err != nil
	})
}
