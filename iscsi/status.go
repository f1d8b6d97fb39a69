package iscsi

import (
	"errors"
	"fmt"
)

// ErrCHAP is returned for a target with credentials: CHAP is not implemented
// yet, and a login without it would not be what was asked for.
var ErrCHAP = errors.New("CHAP credentials are given, but CHAP is not supported yet: take them away, and admit this " +
	"initiator by its name at the target")

// A StatusError is a login that the target refused (RFC 7143 section 11.13.5).
type StatusError struct {
	Class, Detail byte
	Target        string // name asked for
	Initiator     string // name shown
	Portal        string // host:port asked
	Address       string // TargetAddress of a redirection, class 1
}

// Temporary reports whether the same login may succeed later: class 3, the
// target's own trouble.
func (e *StatusError) Temporary() bool { return e.Class == 3 }

// Moved reports whether the target lives at Address.
func (e *StatusError) Moved() bool { return e.Class == 1 }

// Error says what the target answered and what to check.
func (e *StatusError) Error() string {
	at := fmt.Sprintf("target %s on portal %s", e.Target, e.Portal)
	status := fmt.Sprintf("(status %02x%02x)", e.Class, e.Detail)
	acl := fmt.Sprintf("check the target's name and that initiator %s is in its access list", e.Initiator)
	switch uint16(e.Class)<<8 | uint16(e.Detail) {
	case 0x0101, 0x0102:
		return fmt.Sprintf("%s moved to %q %s", at, e.Address, status)
	case 0x0201:
		return fmt.Sprintf("%s refused the authentication of initiator %s %s: it may want CHAP credentials where none "+
			"were given, or other ones", at, e.Initiator, status)
	case 0x0202:
		return fmt.Sprintf("%s does not admit initiator %s %s: put the name into its access list", at, e.Initiator,
			status)
	case 0x0203:
		return fmt.Sprintf("target %s not found on portal %s %s: %s", e.Target, e.Portal, status, acl)
	case 0x0204:
		return fmt.Sprintf("%s was removed %s", at, status)
	case 0x0205:
		return fmt.Sprintf("%s speaks another version of iSCSI %s", at, status)
	case 0x0206:
		return fmt.Sprintf("%s has too many connections of this session %s", at, status)
	case 0x0207:
		return fmt.Sprintf("%s misses a parameter in the login %s", at, status)
	case 0x0208, 0x020a:
		return fmt.Sprintf("%s knows no such session %s", at, status)
	case 0x0209:
		return fmt.Sprintf("%s does not do this type of session %s", at, status)
	case 0x020b:
		return fmt.Sprintf("%s found the login malformed %s", at, status)
	case 0x0300:
		return fmt.Sprintf("%s has a fault of its own %s: look at its log", at, status)
	case 0x0301:
		// LIO says this for a target name it does not have.
		return fmt.Sprintf("target %s not available on portal %s %s: it is not up, or not there: %s", e.Target,
			e.Portal, status, acl)
	case 0x0302:
		return fmt.Sprintf("%s is out of resources %s", at, status)
	}
	switch e.Class {
	case 2:
		return fmt.Sprintf("%s refuses the login %s: %s", at, status, acl)
	case 3:
		return fmt.Sprintf("%s cannot serve the login now %s: look at its log", at, status)
	default:
		return fmt.Sprintf("%s answered the login with an unknown status %s", at, status)
	}
}
