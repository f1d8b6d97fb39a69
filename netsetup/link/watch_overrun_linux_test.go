package link

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// smallSocket is one like that of watch, which some hundred messages are too much for.
func smallSocket(t *testing.T) int {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 128<<10); err != nil {
		t.Fatal(err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: unix.RTMGRP_LINK}); err != nil {
		t.Fatal(err)
	}
	return fd
}

// mtus are those of the messages in a socket, which it empties.
func mtus(t *testing.T, fd int) (found []int, overrun bool) {
	t.Helper()
	buf := make([]byte, 32<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return found, overrun
		case errors.Is(err, unix.ENOBUFS):
			overrun = true
			continue
		case err != nil:
			t.Fatal(err)
		}
		if d, ok := parseLink(buf[unix.SizeofNlMsghdr:n]); ok && binary.NativeEndian.Uint16(buf[4:]) == unix.RTM_NEWLINK {
			found = append(found, d.MTU)
		}
	}
}

// What happens between the loss of messages and the moment when the socket has been
// emptied is told, however much of it has been read by then.
func TestWatcherOverrun(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	veth := func(name string) *netlink.Veth {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		v := &netlink.Veth{LinkAttrs: attrs, PeerName: name + "p"}
		if err := netlink.LinkAdd(v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	for name, read := range map[string]float64{"little": 0.02, "half": 0.55, "most": 0.8} {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		fd := smallSocket(t)
		file := os.NewFile(uintptr(fd), "rtnetlink")
		raw, err := file.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		noisy, goes := veth("noisy"), veth("goes")
		events := make(chan Event) // the watcher reads no further than the test
		w := newWatcher(events, false, func(dump int) error { return requestDump(fd, dump) })
		if err := w.request(0); err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := w.run(ctx, raw); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
		})
		until := func(what string, is func(e Event) bool) {
			t.Helper()
			for {
				select {
				case e := <-events:
					if is(e) {
						return
					}
				case <-ctx.Done():
					t.Fatalf("%s: %s is not told", name, what)
				}
			}
		}
		until("the list", func(e Event) bool { return e.Name == "goes" })
		if err := netlink.LinkSetMTU(noisy, 900); err != nil {
			t.Fatal(err)
		}
		until("a change after it", func(e Event) bool { return e.MTU == 900 })
		other := smallSocket(t) // as full as that of the watcher, which stands still
		for i := range 200 {
			if err := netlink.LinkSetMTU(noisy, 1000+i); err != nil {
				t.Fatal(err)
			}
		}
		held, overrun := mtus(t, other)
		if !overrun {
			t.Fatalf("%d messages are not too many", len(held))
		}
		at := held[int(read*float64(len(held)))]
		until("a change", func(e Event) bool { return e.Name == "noisy" && e.MTU == at })
		late := veth("late")
		if err := netlink.LinkDel(goes); err != nil {
			t.Fatal(err)
		}
		if err := netlink.LinkSetMTU(noisy, 1499); err != nil {
			t.Fatal(err)
		}
		told := map[string]bool{}
		until("what happened meanwhile", func(e Event) bool {
			told["late"] = told["late"] || e.Name == "late" && !e.Gone
			told["goes"] = told["goes"] || e.Name == "goes" && e.Gone
			told["noisy"] = told["noisy"] || e.Name == "noisy" && e.MTU == 1499
			return told["late"] && told["goes"] && told["noisy"]
		})
		cancel()
		_ = file.Close()
		wg.Wait()
		_ = unix.Close(other)
		for _, v := range []*netlink.Veth{noisy, late} {
			if err := netlink.LinkDel(v); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// A dump that ends while messages are still to be read which came before the loss of others
// does not tell what has gone: it may have been asked for long before.
func TestWatcherDoneInOverrun(t *testing.T) {
	events, asked := make(chan Event, 16), 0
	w := newWatcher(events, false, func(int) error { asked++; return nil })
	feed := func(messages ...[]byte) {
		t.Helper()
		for _, m := range messages {
			if err := w.messages(t.Context(), m); err != nil {
				t.Fatal(err)
			}
		}
	}
	link := func(index int32) []byte { return rtMessage(unix.RTM_NEWLINK, newLink(0, index, 0, "nodisk-a", 0)) }
	done := rtMessage(unix.NLMSG_DONE, make([]byte, 4))
	feed(link(5))
	w.missed()
	feed(link(9), done)
	if len(events) != 1 || asked != 0 {
		t.Errorf("%d events, %d dumps: an adapter that is registered again has its name twice", len(events), asked)
	}
	if err := w.caughtUp(); err != nil {
		t.Fatal(err)
	}
	feed(link(9), done)
	for _, want := range []Event{{}, {Gone: true}, {}} {
		if e := <-events; e.Gone != want.Gone {
			t.Errorf("%+v", e)
		}
	}
	if asked != 1 {
		t.Errorf("%d dumps", asked)
	}
}

// A dump whose first message has no room is under way all the same.
func TestWatcherDumpWithoutRoom(t *testing.T) {
	events := make(chan Event, 16)
	w := newWatcher(events, true, func(int) error { return nil })
	errno := unix.ENOBUFS
	refusal := rtMessage(unix.NLMSG_ERROR, binary.NativeEndian.AppendUint32(nil, uint32(-int32(errno))))
	for dump := range dumps {
		w.dump = dump
		if err := w.messages(t.Context(), refusal); err != nil || w.dump != dump {
			t.Errorf("dump %d: %v, %d", dump, err, w.dump)
		}
	}
}
