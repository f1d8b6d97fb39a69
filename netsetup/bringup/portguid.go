package bringup

import (
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup/link"
)

// anonymous reports whether the interface is to ask a server or a router, but has no GUID to
// identify itself. A bond identifies itself by each of its ports.
func (r *runner) anonymous(n *attachment) bool {
	return n.job != nil && n.job.Method.Leases() && !slices.ContainsFunc(r.known(n.dev), link.Device.Identified)
}

// withGUID is the device as the kernel reports it, with the GUID that was read from its port: the
// kernel may have written a message before it gave the interface that address.
func (n *attachment) withGUID(d link.Device) link.Device {
	switch {
	case n.gid == "" || d.Type != link.HwInfiniBand || len(d.Addr) != 20:
	case !d.Identified():
		d.Addr = d.Addr[:4] + n.gid
	case d.Addr[4:] != n.gid:
		n.gid = ""
	}
	return d
}

// identify looks for the GUIDs of the ports that had none, whoever is to ask by them: the
// interface itself with either family, a P_Key child, or a bond. With the GUID the kernel changes
// the address of the interface, and says nothing unless carrier comes with it (set_base_guid of
// drivers/infiniband/ulp/ipoib/ipoib_main.c): what follows the flags and the queue pair is gids/0
// then. It reports whether one was found in what was read from a port.
func (r *runner) identify(key link.PortKey, p link.PortState) (found bool) {
	if len(p.GID) != 16 {
		return false
	}
	if _, ok := p.GID.GUID(); !ok {
		return false
	}
	for _, n := range r.sorted() {
		if n.key.ipv6 || n.dev.Identified() || r.portOf(n).PortKey() != key {
			continue
		}
		n.gid = p.GID
		found = true
		r.link(link.Event{Device: n.dev})
	}
	return found
}

// reidentify makes those begin, or stop, to ask whose identity is that of another interface: a
// bond asks as its ports.
func (r *runner) reidentify() {
	for _, n := range r.sorted() {
		if n.job == nil || !n.wanted() || !n.ready {
			continue
		}
		if able := n.dev.Up && n.dev.Carrier && !r.anonymous(n); able != n.carrier {
			r.linkOf(n.key, link.Event{Device: n.dev})
		}
	}
}

// nameless are the interfaces whose GUID is zero, as a part of the sentence about what is waited
// for, where a GUID is needed.
func (r *runner) nameless(now time.Time) []string {
	var parts []string
	for _, n := range r.sorted() {
		if !n.key.ipv6 && !n.dev.Identified() {
			d := r.portOf(n)
			parts = append(parts, n.dev.Name+": "+d.ZeroGUID(now.Sub(n.since))+r.silence(d, now))
		}
	}
	return parts
}
