package iscsi

import (
	"fmt"
	"net/netip"
	"time"
)

// A Session is a login the kernel keeps. Its numbers are those of sysfs:
// session SID, connection SID:CID, SCSI host Host.
type Session struct {
	SID, CID, Host uint32

	Target    Target
	Initiator string
	Portal    netip.AddrPort // connected to
	ISID      ISID

	Disk string // block device of Target.LUN, "sda"

	// HeaderDigest and DataDigest tell whether CRC32C was agreed on.
	HeaderDigest, DataDigest bool

	Took Took
}

// Took is where the time of an attach went.
type Took struct {
	Login    time.Duration // TCP connect and login
	HandOver time.Duration // session, connection, parameters, start
	Scan     time.Duration // the kernel's scan of the logical unit
	Disk     time.Duration // from the end of the scan to the disk's uevent
}

// String is one line for the console.
func (s *Session) String() string {
	return fmt.Sprintf("%s from %v, LUN %v of %s (session %d)", s.Disk, s.Portal, s.Target.LUN, s.Target.Name, s.SID)
}
