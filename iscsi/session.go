package iscsi

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// RootRecovery is the recovery_tmo of a session with the root on it: a root file
// system does not survive an EIO, and -1, forever, would hang a reboot.
const RootRecovery = 24 * time.Hour

// A Session is a login the kernel keeps. Its numbers are those of sysfs:
// session SID, connection SID:CID, SCSI host Host.
type Session struct {
	SID, CID, Host uint32

	Target    Target // its portal is the one that was asked first, before redirections
	Initiator string
	Portal    netip.AddrPort // connected to
	ISID      ISID

	Disks []Disk // of the units that were wanted, in their order

	// HeaderDigest and DataDigest report whether CRC32C was agreed on.
	HeaderDigest, DataDigest bool

	Took Took

	sysfs       string
	diskTimeout time.Duration
	kernel      *kernel
	watch       watch
}

// Took is where the time of an attach went.
type Took struct {
	Login    time.Duration // TCP connect and login
	HandOver time.Duration // session, connection, parameters, start
	Scan     time.Duration // the kernel's scan of the logical units
	Disk     time.Duration // from the end of the scan to the disks' uevents
}

// String is one line for the console: sda from 10.0.0.1:3260, LUN 1 of
// iqn.2026-01.example:node7 (session 1).
func (s *Session) String() string {
	var names, luns []string
	for _, d := range s.Disks[:min(len(s.Disks), maxListed)] {
		names = append(names, d.Name)
		luns = append(luns, d.LUN.String())
	}
	if len(s.Disks) == 0 {
		names, luns = []string{"no disk"}, []string{"none"}
	}
	if more := len(s.Disks) - maxListed; more > 0 {
		names = append(names, fmt.Sprintf("and %d more", more))
	}
	return fmt.Sprintf("%s from %v, LUN %s of %s (session %d)",
		strings.Join(names, " "), s.Portal, strings.Join(luns, " "), s.Target.Name, s.SID)
}

// Has reports whether a disk (sda) is one of the session's.
func (s *Session) Has(disk string) bool {
	for _, d := range s.Disks {
		if d.Name == disk {
			return true
		}
	}
	return false
}
