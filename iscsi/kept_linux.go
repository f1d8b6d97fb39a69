package iscsi

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// A Kept is a session that the kernel keeps, whoever made it: what
// /sys/class/iscsi_session says of it now (drivers/scsi/scsi_transport_iscsi.c).
type Kept struct {
	SID       uint32
	Target    string
	Initiator string
	State     string        // LOGGED_IN, FAILED or FREE
	Recovery  time.Duration // recovery_tmo: how long I/O is held back while the connection is lost

	sysfs string
}

// LoggedIn reports whether the session's disks answer.
func (k Kept) LoggedIn() bool { return k.State == "LOGGED_IN" }

// String is for a sentence: session 1 with iqn.2026-01.example:node7 (FAILED).
func (k Kept) String() string {
	return fmt.Sprintf("session %d with %s (%s)", k.SID, k.Target, k.State)
}

// KeptSessions lists the sessions over TCP that the kernel has, by number. A
// kernel without iSCSI has none.
func KeptSessions() ([]Kept, error) { return keptSessions(sysfsRoot) }

func keptSessions(sysfs string) ([]Kept, error) {
	class := filepath.Join(sysfs, "class/iscsi_session")
	entries, err := kernfile.ReadDir(class)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list iSCSI sessions: %w", err)
	}
	var kept []Kept
	for _, e := range entries {
		text, ok := strings.CutPrefix(e.Name(), "session")
		sid, err := strconv.ParseUint(text, 10, 32)
		if !ok || err != nil {
			continue
		}
		if !overTCP(filepath.Join(class, e.Name())) {
			continue
		}
		// A session that goes away meanwhile reads as empty: neither a target's
		// nor logged in.
		attribute := func(name string) string {
			b, _ := kernfile.ReadFile(filepath.Join(class, e.Name(), name))
			return strings.TrimSpace(string(b))
		}
		k := Kept{
			SID: uint32(sid), Target: attribute("targetname"), Initiator: attribute("initiatorname"),
			State: attribute("state"), sysfs: sysfs,
		}
		if n, err := strconv.Atoi(attribute("recovery_tmo")); err == nil {
			k.Recovery = time.Duration(n) * time.Second
		}
		kept = append(kept, k)
	}
	slices.SortFunc(kept, func(a, b Kept) int { return int(a.SID) - int(b.SID) })
	return kept, nil
}

// overTCP reports whether a session is one of iscsi_tcp: those of an adapter
// that does iSCSI itself are its firmware's. The session is a child of its SCSI
// host in sysfs, /sys/devices/platform/host2/session1.
func overTCP(session string) bool {
	device, err := filepath.EvalSymlinks(filepath.Join(session, "device"))
	if err != nil {
		return true // it goes away
	}
	host := filepath.Dir(device)
	driver, err := kernfile.ReadFile(filepath.Join(host, "scsi_host", filepath.Base(host), "proc_name"))
	return err != nil || strings.TrimSpace(string(driver)) == "iscsi_tcp"
}

// SetRecovery sets for how long the kernel holds I/O back while the session's
// connection is lost, at least 1 s, before it fails it. A wait that has begun keeps the time it began with.
func (k Kept) SetRecovery(d time.Duration) error {
	n := strconv.FormatInt(int64(max(d, time.Second)/time.Second), 10)
	path := filepath.Join(k.sysfs, "class/iscsi_session", fmt.Sprintf("session%d", k.SID), "recovery_tmo")
	f, err := os.OpenFile(path, os.O_WRONLY, 0) // never made: the session may have gone
	if err != nil {
		return fmt.Errorf("set recovery_tmo of %v: %w", k, err)
	}
	_, err = f.WriteString(n)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("set recovery_tmo of %v: %w", k, err)
	}
	return nil
}

// End takes the session apart, its disks with it: what waits for them fails.
// There is no logout: the target sees the connection end. The kernel may hold the
// call, so it is for a process that can be left behind.
func (k Kept) End(ctx context.Context) error {
	n, err := openKernel(k.sysfs)
	if err != nil {
		return fmt.Errorf("end %v: %w", k, err)
	}
	defer func() { _ = n.Close() }()
	if err := takeApart(ctx, n, k.SID, 0); err != nil {
		return fmt.Errorf("end %v: %w", k, err)
	}
	return nil
}
