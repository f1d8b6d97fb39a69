package netsetup

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

// A port of InfiniBand may have no GUID: that of a virtual function (SR-IOV) is zero
// until its host sets it, or with mlx4 until the subnet manager has given it an alias.
// All such ports have the same address but for the queue pair, and so would be one
// client to a DHCP server, and get one lease.

// identified reports whether the device can be told from others: it is not a port of
// InfiniBand whose GUID is zero.
func (d Device) identified() bool {
	if d.Type != hwInfiniBand || len(d.Addr) != 20 {
		return true
	}
	_, ok := d.Addr.GUID()
	return ok
}

// parseGID reads gids/0 of a port in sysfs, fe80:0000:0000:0000:0002:c903:0000:1039
// (_show_port_gid of drivers/infiniband/core/sysfs.c), empty if it is none.
func parseGID(s string) HardwareAddr {
	b, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(s), ":", ""))
	if err != nil || len(b) != 16 {
		return ""
	}
	return HardwareAddr(b)
}

// anonymous reports whether the interface is to ask a server or a router, and has no
// GUID to do it as. A bond asks as each of its ports.
func (r *runner) anonymous(n *nic) bool {
	return n.slot != nil && n.slot.Method.leases() && !slices.ContainsFunc(r.known(n.dev), Device.identified)
}

// zeroGUID is the sentence about that gate.
func (d Device) zeroGUID(since time.Duration) string {
	where := ""
	if d.Port != 0 {
		where = d.portName() + ", "
	}
	return "port GUID is zero (" + where + "for " + seconds(since) + "): the host must set it (ip link set PF vf N node_guid/port_guid)"
}

// withGUID is the device as the kernel tells of it, with the GUID that was read from its
// port: the kernel may have written a message before it gave the interface that address.
func (n *nic) withGUID(d Device) Device {
	switch {
	case n.gid == "" || d.Type != hwInfiniBand || len(d.Addr) != 20:
	case !d.identified():
		d.Addr = d.Addr[:4] + n.gid
	case d.Addr[4:] != n.gid:
		n.gid = ""
	}
	return d
}

// identify looks for the GUIDs of the ports that had none, whoever is to ask by them: the
// interface itself with either family, a P_Key child, or a bond. With the GUID the kernel
// changes the address of the interface, and says nothing unless carrier comes with it
// (set_base_guid of drivers/infiniband/ulp/ipoib/ipoib_main.c): what follows the flags
// and the queue pair is gids/0 then. It reports whether one was found, in what was read
// of a port.
func (r *runner) identify(key portKey, p portState) (found bool) {
	if len(p.GID) != 16 {
		return false
	}
	if _, ok := p.GID.GUID(); !ok {
		return false
	}
	for _, n := range r.sorted() {
		if n.key.six || n.dev.identified() || r.portOf(n).portKey() != key {
			continue
		}
		n.gid = p.GID
		found = true
		r.link(linkEvent{Device: n.dev})
	}
	return found
}

// reidentify has those begin, or stop, to ask whose identity another interface has: a
// bond asks as its ports.
func (r *runner) reidentify() {
	for _, n := range r.sorted() {
		if n.slot == nil || !n.wanted() || !n.ready {
			continue
		}
		if able := n.dev.Up && n.dev.Carrier && !r.anonymous(n); able != n.carrier {
			r.linkOf(n.key, linkEvent{Device: n.dev})
		}
	}
}

// nameless are the interfaces whose GUID is zero, as a part of what is waited for where
// a GUID is looked for.
func (r *runner) nameless(now time.Time) []string {
	var parts []string
	for _, n := range r.sorted() {
		if !n.key.six && !n.dev.identified() {
			d := r.portOf(n)
			parts = append(parts, n.dev.Name+": "+d.zeroGUID(now.Sub(n.since))+r.silence(d, now))
		}
	}
	return parts
}
