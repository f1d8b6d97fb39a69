package netsetup

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A gate is one of the conditions that an InfiniBand interface has to meet, one
// after the other, before a packet can leave. Each is another person's work, so
// each has a sentence of its own; the time at one is counted from when it was
// reached.
//
// The first gate, that a driver has made the interface at all, has no value
// here: there is no interface to ask. See runner.missing.
type gate int

const (
	gateLink   gate = iota + 1 // the port has a physical link
	gateActive                 // a subnet manager has configured the port
	gatePKey                   // the partition is in the port's table
	gateGroup                  // the broadcast group is joined: carrier
	gateGUID                   // before all of them: the port has a GUID
	gateUnread                 // not known: the port has not been read, or cannot be
)

// A portState is what sysfs tells of an InfiniBand port: the words of phys_state
// and state, in /sys/class/infiniband/HCA/ports/N, and the partitions of pkeys.
type portState struct {
	Phys, State string
	PKeys       []uint16
	// GID is gids/0, 16 bytes: subnet prefix and port GUID. Empty if it is not told.
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
		if v, err := strconv.ParseUint(strings.TrimPrefix(strings.TrimSpace(e), "0x"), 16, 16); err == nil && v != 0 && !slices.Contains(keys, uint16(v)) {
			keys = append(keys, uint16(v))
		}
	}
	return keys
}

// gate returns where an interface of the partition stands that has no carrier.
func (p portState) gate(pkey uint16) gate {
	switch {
	case p.Phys != "LinkUp":
		return gateLink
	case p.State != "ACTIVE":
		return gateActive
	}
	if _, ok := p.member(pkey); !ok {
		return gatePKey
	}
	return gateGroup
}

// A portName is what people call the port of a device.
func (d Device) portName() string {
	return "port " + strconv.Itoa(d.Port) + " of " + d.HCA
}

// obstacle is the sentence about a gate that has been in the way for a time. d
// has the port, pkey is the partition of the interface.
func (p portState) obstacle(g gate, d Device, pkey uint16, since time.Duration) string {
	guid, _ := d.Addr.GUID()
	after := "for " + seconds(since)
	switch g {
	case gateLink:
		check := "check the cable and that the switch is on"
		if p.Phys == "Disabled" {
			check = "somebody switched it off, here or at the switch"
		}
		return fmt.Sprintf("%s has no link (%s %s): %s", d.portName(), p.Phys, after, check)
	case gateActive:
		return fmt.Sprintf("the subnet manager has not configured %s (state %s %s): check that one runs on this fabric", d.portName(), p.State, after)
	case gatePKey:
		var have []string
		for _, k := range p.PKeys {
			have = append(have, fmt.Sprintf("%#04x", k))
		}
		if have == nil {
			have = []string{"none"}
		}
		return fmt.Sprintf("P_Key %#04x is not in the table of %s, %s (it has %s): put port GUID %s into that partition at the subnet manager",
			pkey, d.portName(), after, strings.Join(have, " "), guid)
	default:
		return fmt.Sprintf("%s is ACTIVE, but the subnet manager has not let it into the broadcast group of P_Key %#04x %s: check that the partition is made for IPoIB", d.portName(), pkey, after)
	}
}
