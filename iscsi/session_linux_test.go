package iscsi

import (
	"context"
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// fakeSession makes a session in a fake sysfs as the kernel lays it out: the
// class entry is a link, and so is its device.
func fakeSession(t *testing.T, sysfs, driver, target, state string) {
	t.Helper()
	const name = "session3"
	host := filepath.Join(sysfs, "devices/platform/host7")
	device := filepath.Join(host, name)
	entry := filepath.Join(device, "iscsi_session", name)
	for path, text := range map[string]string{
		filepath.Join(host, "scsi_host/host7/proc_name"): driver,
		filepath.Join(entry, "targetname"):               target,
		filepath.Join(entry, "state"):                    state, filepath.Join(entry, "recovery_tmo"): "5",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	class := filepath.Join(sysfs, "class/iscsi_session")
	if err := os.MkdirAll(class, 0o755); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{filepath.Join(entry, "device"): device, filepath.Join(class, name): entry} {
		if err := os.Symlink(to, link); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKeptSessionsAreOverTCP(t *testing.T) {
	for driver, want := range map[string]int{"iscsi_tcp": 1, "qla4xxx": 0} {
		sysfs := t.TempDir()
		fakeSession(t, sysfs, driver, "iqn.2026-01.test:a", "LOGGED_IN")
		kept, err := keptSessions(sysfs)
		if err != nil || len(kept) != want {
			t.Errorf("%s: %v, %v", driver, kept, err)
		}
	}
}

// A session is what the kernel says of it, whatever it was once.
func TestSessionCheck(t *testing.T) {
	for name, tt := range map[string]struct {
		target, state string
		lost          error
		want          string
	}{
		"fine": {"iqn.2026-01.test:a", "LOGGED_IN", nil, ""},
		"failed": {"iqn.2026-01.test:a", "FAILED", nil, "connection to portal 10.0.0.1:3260 lost (session " +
			"3 with iqn.2026-01.test:a (FAILED) is not logged in)"},
		"another's by now": {"iqn.2026-01.test:b", "LOGGED_IN", nil, "has gone"},
		"lost, sysfs later": {"iqn.2026-01.test:a", "LOGGED_IN", connError(1020),
			"connection to portal 10.0.0.1:3260 lost (1020, target closed the connection)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := &Session{
				SID: 3, Target: Target{Name: "iqn.2026-01.test:a"}, Portal: netip.MustParseAddrPort("10.0.0.1:3260"),
				sysfs: t.TempDir(), watch: watch{lost: make(chan struct{})},
				kernel: &kernel{lost: make(chan lostConn, 4), done: make(chan struct{})},
			}
			fakeSession(t, s.sysfs, "iscsi_tcp", tt.target, tt.state)
			if code, ok := errors.AsType[connError](tt.lost); ok {
				s.kernel.lost <- lostConn{sid: 2, err: 1011} // another session's
				s.kernel.lost <- lostConn{sid: 3, err: code}
				s.follow()
				<-s.Lost()
			}
			err := s.Check()
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("%v, want %q", err, tt.want)
			}
			if tt.lost != nil && !errors.Is(err, tt.lost) {
				t.Errorf("%v does not hold the reason", err)
			}
		})
	}
}

// The kernel calls a session failed before it says why: the reason is waited for.
func TestSessionCheckHearsTheReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Session{
			SID: 3, Target: Target{Name: "iqn.2026-01.test:a"}, Portal: netip.MustParseAddrPort("10.0.0.1:3260"),
			sysfs: t.TempDir(), watch: watch{lost: make(chan struct{})},
			kernel: &kernel{lost: make(chan lostConn, 1), done: make(chan struct{})},
		}
		fakeSession(t, s.sysfs, "iscsi_tcp", s.Target.Name, "FAILED")
		go s.follow()
		time.AfterFunc(100*time.Millisecond, func() { s.kernel.lost <- lostConn{sid: 3, err: 1020} })
		want := "connection to portal 10.0.0.1:3260 lost (1020, target closed the connection)"
		if err := s.Check(); err == nil || err.Error() != want {
			t.Errorf("%v, want %q", err, want)
		}
	})
}

// What a full socket has dropped is found in sysfs.
func TestSessionLostInAnOverrun(t *testing.T) {
	s := &Session{
		SID: 3, Target: Target{Name: "iqn.2026-01.test:a"}, sysfs: t.TempDir(), watch: watch{lost: make(chan struct{})},
		kernel: &kernel{lost: make(chan lostConn), overrun: make(chan struct{}, 1), done: make(chan struct{})},
	}
	fakeSession(t, s.sysfs, "iscsi_tcp", "iqn.2026-01.test:a", "FAILED")
	s.kernel.overrun <- struct{}{}
	s.follow()
	select {
	case <-s.Lost():
	default:
		t.Error("not noticed")
	}
	if err := s.Check(); err == nil || !strings.Contains(err.Error(), "is not logged in") {
		t.Errorf("%v", err)
	}
}

func TestKeepSetsRecovery(t *testing.T) {
	s := &Session{SID: 3, sysfs: t.TempDir()}
	if err := s.Keep(RootRecovery); !errors.Is(err, unix.ENOENT) {
		t.Errorf("a session that has gone: %v", err)
	}
	fakeSession(t, s.sysfs, "iscsi_tcp", "a", "LOGGED_IN")
	if err := s.Keep(RootRecovery); err != nil {
		t.Fatal(err)
	}
	if kept, err := keptSessions(s.sysfs); err != nil || len(kept) != 1 || kept[0].Recovery != RootRecovery {
		t.Errorf("%+v, %v", kept, err)
	}
}

// A call that the kernel holds is left behind.
func TestBounded(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bounded(canceled, func(ctx context.Context) error { return ctx.Err() }); err != nil {
		t.Errorf("what has to be done is not done after the end: %v", err)
	}
	release := make(chan struct{})
	defer close(release)
	err := bounded(t.Context(), func(context.Context) error { <-release; return nil })
	if !errors.Is(err, context.DeadlineExceeded) ||
		!strings.Contains(err.Error(), "the kernel holds the call: timed out after 5s") {
		t.Errorf("%v", err)
	}
}

// A session that does not take another recovery_tmo is ended all the same.
func TestEndSoonOfALostSession(t *testing.T) {
	top := t.TempDir()
	if err := os.MkdirAll(filepath.Join(top, "class/iscsi_session/session3/recovery_tmo"), 0o755); err != nil {
		t.Fatal(err)
	}
	k := Kept{SID: 3, Target: "iqn.2026-01.test:a", State: "FREE", sysfs: top}
	ended := false
	if err := k.endSoon(t.Context(), func(context.Context) error { ended = true; return nil }); err != nil || !ended {
		t.Errorf("ended: %v, %v", ended, err)
	}
	held := errors.New("held")
	if err := k.endSoon(t.Context(), func(context.Context) error { return held }); !errors.Is(err, held) {
		t.Errorf("%v, want %v", err, held)
	}
}
