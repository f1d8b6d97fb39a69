package uevent

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// addLink makes a link, of which the kernel tells in the network namespace that it is in.
func addLink(t *testing.T, name string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: name + "p"}); err != nil {
		t.Fatal(err)
	}
}

// Whoever looks in sysfs when events were lost misses nothing: what comes after the look is
// received, and what was received before the loss is, too.
func TestReceiveOverrun(t *testing.T) {
	if !testenv.Namespace(t, 0) {
		return
	}
	c, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	raw, err := c.file.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var serr error
	if err := raw.Control(func(fd uintptr) {
		serr = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUF, 16<<10)
	}); err != nil || serr != nil {
		t.Fatal(err, serr)
	}
	for i := range 16 {
		addLink(t, fmt.Sprintf("nodisk%d", i))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	before := 0
	for {
		_, err := c.Receive(ctx)
		if errors.Is(err, ErrOverrun) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		before++
	}
	if before == 0 {
		t.Error("what was not lost has not been received")
	}
	addLink(t, "late")
	for {
		e, err := c.Receive(ctx)
		if err != nil {
			t.Fatalf("after the loss of events and %d others: %v", before, err)
		}
		if e.Action == "add" && strings.HasSuffix(e.DevPath, "/net/late") {
			return
		}
	}
}

func TestReceiveEndsWithContext(t *testing.T) {
	c, err := Listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := c.Receive(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Receive: %v, want the deadline", err)
	}
}

func TestWaitChecksBeforeTheFirstEvent(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := Wait(ctx, func() (bool, error) { return true, nil }); err != nil {
		t.Error(err)
	}
	if err := Wait(ctx, func() (bool, error) { return false, context.Canceled }); !errors.Is(err, context.Canceled) {
		t.Errorf("the check's own error is lost: %v", err)
	}
}
