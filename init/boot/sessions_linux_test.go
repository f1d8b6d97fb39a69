package boot

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/iscsi"
)

// A root of several disks is not to be relied on when any of their sessions is lost.
func TestKeepSessionsOfAllMembers(t *testing.T) {
	b := rootfs.Block{Name: "sda", Disk: "sda", Members: []rootfs.Block{{Name: "sdb1", Disk: "sdb"}}}
	w := &worker{
		log: slog.New(slog.DiscardHandler), rootDisks: b.Disks(),
		sessions: []*iscsi.Session{{SID: 7, Target: iscsi.Target{Name: "iqn.2026-01.test:b"}, Disks: []iscsi.Disk{{LUN: 1, Name: "sdb"}}}},
	}
	// There is no such session on this machine.
	err := w.keepSessions(t.Context())
	if err == nil || !strings.Contains(err.Error(), "the root is not to be relied on: session 7 with iqn.2026-01.test:b has gone") {
		t.Errorf("%v", err)
	}
}
