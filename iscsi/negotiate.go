package iscsi

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Digest says whether PDUs carry a checksum of their own.
type Digest uint8

// The default takes no digest but lets a target that insists have CRC32C.
const (
	DigestDefault  Digest = iota // None, CRC32C when the target wants it
	DigestNone                   // None or no login
	DigestPrefer                 // CRC32C, None when the target cannot
	DigestRequired               // CRC32C or no login
)

// String is the list offered to the target.
func (d Digest) String() string {
	switch d {
	case DigestDefault:
		return "None,CRC32C"
	case DigestNone:
		return "None"
	case DigestPrefer:
		return "CRC32C,None"
	case DigestRequired:
		return "CRC32C"
	default:
		return "Digest(" + strconv.Itoa(int(d)) + ")"
	}
}

// negotiated is what a login agreed on: the kernel is told all of it.
type negotiated struct {
	headerDigest, dataDigest bool
	maxRecv, maxXmit         uint32 // MaxRecvDataSegmentLength, ours and the target's
	initialR2T, immediate    bool
	firstBurst, maxBurst     uint32
	maxR2T                   uint32
	pduInOrder, seqInOrder   bool
	ifMarker, ofMarker       bool
	erl                      uint32
	time2Wait, time2Retain   uint32
	maxConnections           uint32

	alias     string // TargetAlias
	tpgt      uint16 // TargetPortalGroupTag
	tsih      uint16
	expStatSN uint32
	rounds    int // PDUs received
}

// What we offer. A node that boots wants few round trips and large transfers:
// these are open-iscsi's values, which targets are tested with.
const (
	ourMaxRecv    = 262144
	ourMaxBurst   = 16776192
	ourFirstBurst = 262144
)

// defaults are the values of RFC 7143 section 13 for keys the target leaves out.
func defaults() negotiated {
	return negotiated{
		maxRecv: ourMaxRecv, maxXmit: 8192,
		initialR2T: true, immediate: true,
		firstBurst: 65536, maxBurst: 262144, maxR2T: 1,
		pduInOrder: true, seqInOrder: true,
		time2Wait: 2, time2Retain: 20,
		maxConnections: 1,
	}
}

// A rule is one operational key: what is offered, and how the answer becomes
// the result.
type rule struct {
	key, offer string
	// set is given the target's answer.
	set func(n *negotiated, answer string) error
	// must names keys that cannot be refused.
	must bool
}

// operationalRules are the keys of RFC 7143 section 13 that an ordinary
// session negotiates, in the order they are sent.
func operationalRules(header, data Digest) []rule {
	return []rule{
		digest("HeaderDigest", header, func(n *negotiated) *bool { return &n.headerDigest }),
		digest("DataDigest", data, func(n *negotiated) *bool { return &n.dataDigest }),
		// Declared by each side for itself: the answer is what we may send.
		number("MaxRecvDataSegmentLength", ourMaxRecv, 512, 1<<24-1, declared,
			func(n *negotiated) *uint32 { return &n.maxXmit }),
		number("DefaultTime2Wait", 2, 0, 3600, largest, func(n *negotiated) *uint32 { return &n.time2Wait }),
		number("DefaultTime2Retain", 0, 0, 3600, smallest, func(n *negotiated) *uint32 { return &n.time2Retain }),
		number("ErrorRecoveryLevel", 0, 0, 2, smallest, func(n *negotiated) *uint32 { return &n.erl }),
		boolean("IFMarker", false, and, func(n *negotiated) *bool { return &n.ifMarker }),
		boolean("OFMarker", false, and, func(n *negotiated) *bool { return &n.ofMarker }),
		boolean("InitialR2T", false, or, func(n *negotiated) *bool { return &n.initialR2T }),
		boolean("ImmediateData", true, and, func(n *negotiated) *bool { return &n.immediate }),
		number("MaxBurstLength", ourMaxBurst, 512, 1<<24-1, smallest,
			func(n *negotiated) *uint32 { return &n.maxBurst }),
		number("FirstBurstLength", ourFirstBurst, 512, 1<<24-1, smallest,
			func(n *negotiated) *uint32 { return &n.firstBurst }),
		number("MaxOutstandingR2T", 1, 1, 65535, smallest, func(n *negotiated) *uint32 { return &n.maxR2T }),
		number("MaxConnections", 1, 1, 65535, smallest, func(n *negotiated) *uint32 { return &n.maxConnections }),
		boolean("DataPDUInOrder", true, or, func(n *negotiated) *bool { return &n.pduInOrder }),
		boolean("DataSequenceInOrder", true, or, func(n *negotiated) *bool { return &n.seqInOrder }),
	}
}

func or(a, b bool) bool             { return a || b }
func and(a, b bool) bool            { return a && b }
func smallest(a, b uint32) uint32   { return min(a, b) }
func largest(a, b uint32) uint32    { return max(a, b) }
func declared(_, his uint32) uint32 { return his }

func number(key string, offer, low, high uint32, result func(ours, his uint32) uint32,
	field func(*negotiated) *uint32) rule {
	return rule{key: key, offer: strconv.FormatUint(uint64(offer), 10), set: func(n *negotiated, answer string) error {
		his, err := parseNumber(answer, low, high)
		if err == nil {
			*field(n) = result(offer, his)
		}
		return err
	}}
}

func boolean(key string, offer bool, result func(ours, his bool) bool, field func(*negotiated) *bool) rule {
	return rule{key: key, offer: yesNo(offer), set: func(n *negotiated, answer string) error {
		his, err := parseYesNo(answer)
		if err == nil {
			*field(n) = result(offer, his)
		}
		return err
	}}
}

func digest(key string, d Digest, field func(*negotiated) *bool) rule {
	return rule{key: key, offer: d.String(), must: d == DigestRequired, set: func(n *negotiated, answer string) error {
		if !slices.Contains(strings.Split(d.String(), ","), answer) {
			return fmt.Errorf("%q was not among what was offered (%v)", clip(answer), d)
		}
		*field(n) = answer == "CRC32C"
		return nil
	}}
}

// A negotiation follows one login's operational keys.
type negotiation struct {
	rules    []rule
	answered map[string]string
	result   negotiated
}

func newNegotiation(header, data Digest) *negotiation {
	return &negotiation{
		rules:    operationalRules(header, data),
		answered: make(map[string]string),
		result:   defaults(),
	}
}

func (n *negotiation) offers() []textKey {
	keys := make([]textKey, len(n.rules))
	for i, r := range n.rules {
		keys[i] = textKey{r.key, r.offer}
	}
	return keys
}

// take reads the target's keys and returns what has to be replied to them.
func (n *negotiation) take(keys []textKey) (replies []textKey, err error) {
	for _, k := range keys {
		if before, ok := n.answered[k.key]; ok {
			if before != k.value {
				return nil, fmt.Errorf("target answered %s twice: %q, then %q", k.key, clip(before), clip(k.value))
			}
			continue
		}
		n.answered[k.key] = k.value
		reply, err := n.takeOne(k)
		if err != nil {
			return nil, fmt.Errorf("negotiate %s: %w", k.key, err)
		}
		if reply != "" {
			replies = append(replies, textKey{k.key, reply})
		}
	}
	return replies, nil
}

func (n *negotiation) takeOne(k textKey) (reply string, err error) {
	switch k.key {
	case "TargetPortalGroupTag":
		tag, err := parseNumber(k.value, 0, 65535)
		n.result.tpgt = uint16(tag)
		return "", err
	case "TargetAlias":
		n.result.alias = k.value
		return "", nil
	case "TargetName", "TargetAddress", "AuthMethod", "InitiatorName", "InitiatorAlias", "SessionType":
		return "", nil // declarations, or echoes of ours
	}
	i := slices.IndexFunc(n.rules, func(r rule) bool { return r.key == k.key })
	switch k.value {
	case "Reject", "NotUnderstood", "Irrelevant":
		// RFC 7143 section 6.2: the key keeps its default. An answer to an
		// offer of ours gets no answer itself.
		if i >= 0 && n.rules[i].must {
			return "", fmt.Errorf("target says %s to %s, which is required here", k.value, n.rules[i].offer)
		}
		return "", nil
	}
	if i < 0 {
		// The target began a negotiation of its own: nothing it could ask is
		// something we know (RFC 7143 section 6.2).
		return "NotUnderstood", nil
	}
	return "", n.rules[i].set(&n.result, k.value)
}

// finish checks what no single key can.
func (n *negotiation) finish() negotiated {
	// The kernel refuses a first burst beyond the burst with EINVAL.
	n.result.firstBurst = min(n.result.firstBurst, n.result.maxBurst)
	return n.result
}
