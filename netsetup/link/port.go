package link

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
)

// A Gate is one of the conditions that an InfiniBand interface has to meet, one
// after the other, before a packet can leave. Each is another person's work, so
// each has a sentence of its own; the time at one is counted from when it was
// reached.
//
// The first gate, that a driver has made the interface at all, has no value here: there is no
// interface to ask. See missing of the runner in package bringup.
type Gate int

// The gates, in their order.
const (
	GateLink   Gate = iota + 1 // the port has a physical link
	GateActive                 // a subnet manager has configured the port
	GatePKey                   // the partition is in the port's table
	GateGroup                  // the broadcast group is joined: carrier
	GateGUID                   // before all of them: the port has a GUID
	GateUnread                 // not known: the port has not been read, or cannot be
)

// A PortState is what sysfs says about an InfiniBand port: the words of phys_state and state, in
// /sys/class/infiniband/HCA/ports/N, and the partitions of pkeys.
type PortState struct {
	Phys, State string
	PKeys       []uint16
	// GID is gids/0, 16 bytes: subnet prefix and port GUID. Empty if it is not known.
	GID HardwareAddr
}

// parsePortWord reads "4: ACTIVE" (state_show of drivers/infiniband/core/sysfs.c).
func parsePortWord(s string) string {
	_, word, _ := strings.Cut(s, ":")
	return strings.TrimSpace(word)
}

// parsePKeys reads the entries of a table; 0 is an empty one.
func parsePKeys(entries []string) []uint16 {
	var keys []uint16
	for _, e := range entries {
		if v, err := strconv.ParseUint(
			strings.TrimPrefix(strings.TrimSpace(e), "0x"),
			16,
			16,
		); err == nil && v != 0 &&
			!slices.Contains(keys, uint16(v)) {
			keys = append(keys, uint16(v))
		}
	}
	return keys
}

// Gate returns the gate at which an interface of the partition without carrier stands.
func (p PortState) Gate(pkey uint16) Gate {
	switch {
	case p.Phys != "LinkUp":
		return GateLink
	case p.State != "ACTIVE":
		return GateActive
	}
	if _, ok := p.Member(pkey); !ok {
		return GatePKey
	}
	return GateGroup
}

// Obstacle is the sentence about a gate that has been in the way for a time. d
// has the port, pkey is the partition of the interface.
func (p PortState) Obstacle(g Gate, d Device, pkey uint16, since time.Duration) string {
	guid, _ := d.Addr.GUID()
	after := "for " + phrase.Seconds(since)
	switch g {
	case GateLink:
		check := "check the cable and that the switch is on"
		if p.Phys == "Disabled" {
			check = "somebody switched it off, here or at the switch"
		}
		return fmt.Sprintf("%s has no link (%s %s): %s", d.PortName(), p.Phys, after, check)
	case GateActive:
		return fmt.Sprintf(
			"the subnet manager has not configured %s (state %s %s): check that one runs on this fabric",
			d.PortName(),
			p.State,
			after,
		)
	case GatePKey:
		var have []string
		for _, k := range p.PKeys {
			have = append(have, fmt.Sprintf("%#04x", k))
		}
		if have == nil {
			have = []string{"none"}
		}
		return fmt.Sprintf(
			"P_Key %#04x is not in the table of %s, %s (it has %s): put port GUID %s into that partition at the "+
				"subnet manager",
			pkey,
			d.PortName(),
			after,
			strings.Join(have, " "),
			guid,
		)
	default:
		return fmt.Sprintf(
			"%s is ACTIVE, but the subnet manager has not let it into the broadcast group of P_Key %#04x %s: check "+
				"that the partition is made for IPoIB",
			d.PortName(),
			pkey,
			after,
		)
	}
}

// Member returns the P_Key of the table by which the port is in the partition. IPoIB
// takes that of a full member if both are there (ib_find_cached_pkey of
// drivers/infiniband/core/cache.c).
func (p PortState) Member(pkey uint16) (key uint16, ok bool) {
	for _, k := range p.PKeys {
		if k&^FullMember == pkey&^FullMember {
			key, ok = max(key, k), true // the membership bit is the highest
		}
	}
	return key, ok
}

// PortKey is a port: the adapter's name and the number on it.
type PortKey struct {
	Hca    string
	Number int
}
