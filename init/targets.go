package boot

import (
	"slices"

	"github.com/nodisk/nodisk/iscsi"
)

// A target is what one session is for.
type target struct {
	name    string
	portals []iscsi.Target // alternatives, of which one is enough
	luns    []iscsi.LUN    // all are wanted
}

// byTarget groups what the command line names by the target's name. A second
// session of one initiator with one portal would end the first, so several
// logical units share one; different targets are all attached.
func byTarget(named []iscsi.Target) []target {
	var groups []target
	for _, t := range named {
		i := slices.IndexFunc(groups, func(g target) bool { return g.name == t.Name })
		if i < 0 {
			i = len(groups)
			groups = append(groups, target{name: t.Name})
		}
		g := &groups[i]
		if !slices.ContainsFunc(g.portals, func(p iscsi.Target) bool { return p.Portal == t.Portal }) {
			g.portals = append(g.portals, t)
		}
		if !slices.Contains(g.luns, t.LUN) {
			g.luns = append(g.luns, t.LUN)
		}
	}
	return groups
}

// A unit is a logical unit of a target and the disk it is here.
type unit struct {
	target string
	lun    iscsi.LUN
	disk   string
}

// diskOf is the disk of a logical unit, "" when it has none yet.
func diskOf(units []unit, target string, lun iscsi.LUN) string {
	for _, u := range units {
		if u.target == target && u.lun == lun {
			return u.disk
		}
	}
	return ""
}
