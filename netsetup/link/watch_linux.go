package link

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Where the kernel shows what its messages do not say, and how it writes messages.
const (
	SysClassNet = "/sys/class/net"
	// WatchBuffer holds the messages of a machine with hundreds of virtual
	// functions appearing at once, and the answers of DHCP servers to hundreds of
	// nodes.
	WatchBuffer = 1 << 20
	// skipStats is RTEXT_FILTER_SKIP_STATS, which x/sys/unix does not have.
	skipStats = 1 << 3
	// nlaType is NLA_TYPE_MASK of include/uapi/linux/netlink.h: without the
	// flags for what is nested.
	nlaType = 1<<14 - 1
)

// Watch subscribes to links and then asks for those that are there, on the same socket, so that
// nothing is missed in between and nothing is read twice. With ipv6, the same holds for what is
// reported about IPv6: see watch_ipv6_linux.go. The IPv4 addresses are not subscribed to: they are
// acknowledged one by one. Not by LinkSubscribe of the library: it does not say where its dump
// ends, and stops when messages were lost, after which everything is asked for again here.
func (k Kernel) Watch(ctx context.Context, wg *sync.WaitGroup, ipv6 bool) (<-chan Event, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, err
	}
	file := os.NewFile(uintptr(fd), "rtnetlink")
	raw, err := file.SyscallConn()
	if err == nil {
		// Without CAP_NET_ADMIN the ordinary size must do.
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, WatchBuffer)
		groups := uint32(unix.RTMGRP_LINK)
		if ipv6 {
			groups |= groups6
		}
		err = unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: groups})
	}
	if err == nil {
		err = requestDump(fd, 0)
	}
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	events := make(chan Event, 64)
	w := newWatcher(events, ipv6, func(dump int) error {
		var err error
		if cerr := raw.Control(func(fd uintptr) { err = requestDump(int(fd), dump) }); cerr != nil {
			return cerr
		}
		return err
	})
	w.scheme = k.Scheme
	stop := context.AfterFunc(ctx, func() { _ = file.Close() })
	wg.Go(func() {
		defer stop()
		defer func() { _ = file.Close() }()
		if err := w.run(ctx, raw); err != nil && ctx.Err() == nil {
			w.emit(ctx, Event{Err: err})
		}
	})
	return events, nil
}

// dumps are what is asked for, one after the other: a socket has one dump at a
// time. The first is all there is without IPv6. RTM_GETLINK of AF_INET6 gives
// the flags of router advertisements.
var dumps = [...]struct {
	kind   uint16
	family byte
}{
	{unix.RTM_GETLINK, unix.AF_UNSPEC},
	{unix.RTM_GETLINK, unix.AF_INET6},
	{unix.RTM_GETROUTE, unix.AF_INET6},
	{unix.RTM_GETADDR, unix.AF_INET6},
}

// requestDump asks for a dump, of links without their counters (rtnetlink(7);
// IFLA_EXT_MASK of include/uapi/linux/rtnetlink.h).
func requestDump(fd, dump int) error {
	const length = unix.SizeofNlMsghdr + unix.SizeofIfInfomsg + unix.SizeofRtAttr + 4
	b := binary.NativeEndian.AppendUint32(nil, length)
	b = binary.NativeEndian.AppendUint16(b, dumps[dump].kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	b = append(b, 1, 0, 0, 0, 0, 0, 0, 0) // sequence and port
	// Any index. The headers of the other two kinds are not longer.
	b = append(b, dumps[dump].family)
	b = append(b, make([]byte, unix.SizeofIfInfomsg-1)...)
	b = binary.NativeEndian.AppendUint16(b, unix.SizeofRtAttr+4)
	b = binary.NativeEndian.AppendUint16(b, unix.IFLA_EXT_MASK)
	b = binary.NativeEndian.AppendUint32(b, skipStats)
	return unix.Sendto(fd, b, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
}

// A watcher turns rtnetlink messages into events.
type watcher struct {
	request func(dump int) error // asks for one of dumps
	ipv6    bool
	scheme  Scheme // of udev's names
	dump    int    // the one under way, len(dumps) after the last
	known   map[int]Device
	seen    map[int]bool // in the dump under way
	known6  map[key6]fact6
	lost    bool // something is not known: ask again
	// overrun is from the loss of messages until the socket is empty: until then the kernel drops
	// all that happens, and does not say so again.
	overrun bool
	renewed bool // messages were lost, and no dump has made up for them yet
	// held is what has come since messages were lost, by index: it is reported when it is known
	// what has gone, whose name it may have.
	held   map[int]Device
	events chan<- Event
	// physical and perm are the functions physical and permAddr.
	physical func(name string) (ok bool, driver string)
	perm     func(name string) HardwareAddr
}

func newWatcher(events chan<- Event, ipv6 bool, request func(dump int) error) *watcher {
	return &watcher{
		request: request, ipv6: ipv6, known: map[int]Device{}, seen: map[int]bool{}, held: map[int]Device{},
		known6: map[key6]fact6{}, events: events,
		physical: func(name string) (bool, string) { return physical(SysClassNet, name) }, perm: permAddr,
	}
}

func (w *watcher) emit(ctx context.Context, e Event) {
	select {
	case w.events <- e:
	case <-ctx.Done():
	}
}

func (w *watcher) run(ctx context.Context, raw syscall.RawConn) error {
	buf := make([]byte, 32<<10) // the kernel's largest dump message
	for ctx.Err() == nil {
		var (
			n    int
			from unix.Sockaddr
			rerr error
		)
		err := raw.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), buf, 0)
			return w.overrun || !errors.Is(rerr, unix.EAGAIN)
		})
		switch {
		case err != nil:
			return err
		case errors.Is(rerr, unix.ENOBUFS):
			w.missed()
			continue
		case errors.Is(rerr, unix.EAGAIN):
			if err := w.caughtUp(); err != nil {
				return err
			}
			continue
		case errors.Is(rerr, unix.EINTR):
			continue
		case rerr != nil:
			return rerr
		}
		if nl, ok := from.(*unix.SockaddrNetlink); !ok || nl.Pid != 0 {
			continue // not from the kernel
		}
		if err := w.messages(ctx, buf[:n]); err != nil {
			return err
		}
	}
	return nil
}

// missed notes that messages were lost. If a dump was merely inconsistent none were: what has
// gone is reported in its turn. The loss is reported before the messages that are still in the
// socket, and the kernel adds none but those of a dump until all have been read (netlink_overrun
// and netlink_rcv_wake of net/netlink/af_netlink.c). So a dump that is asked for now, or is under
// way, does not show what happens meanwhile.
func (w *watcher) missed() { w.overrun, w.renewed = true, true }

// caughtUp asks for everything once more: the socket is empty, and from now on everything is
// reported.
func (w *watcher) caughtUp() error {
	w.overrun = false
	return w.again()
}

// again asks for everything once more, when no dump is under way.
func (w *watcher) again() error {
	clear(w.seen)
	clear(w.held)
	for key, f := range w.known6 {
		f.stale = true
		w.known6[key] = f
	}
	w.lost, w.dump = false, 0
	return w.request(0)
}

func (w *watcher) messages(ctx context.Context, b []byte) error {
	for len(b) >= unix.SizeofNlMsghdr {
		length := int(binary.NativeEndian.Uint32(b))
		if length < unix.SizeofNlMsghdr || length > len(b) {
			return nil // the rest is cut off; there is no more to read in it
		}
		kind, flags, body := binary.NativeEndian.Uint16(
			b[4:],
		), binary.NativeEndian.Uint16(
			b[6:],
		), b[unix.SizeofNlMsghdr:length]
		b = b[min(len(b), (length+3)&^3):]
		switch kind {
		case unix.RTM_NEWLINK, unix.RTM_DELLINK:
			// A bridge port is reported in family AF_BRIDGE, too.
			if d, ok := parseLink(body); ok && body[0] == unix.AF_UNSPEC {
				w.link(ctx, d, kind == unix.RTM_DELLINK)
			}
			w.lost = w.lost || flags&unix.NLM_F_DUMP_INTR != 0
			w.message6(ctx, kind, body)
		case unix.RTM_NEWADDR, unix.RTM_DELADDR, unix.RTM_NEWROUTE, unix.RTM_DELROUTE, unix.RTM_NEWNDUSEROPT:
			w.lost = w.lost || flags&unix.NLM_F_DUMP_INTR != 0
			w.message6(ctx, kind, body)
		case unix.NLMSG_DONE:
			if err := w.done(ctx); err != nil {
				return err
			}
		case unix.NLMSG_ERROR:
			if len(body) >= 4 {
				switch errno := unix.Errno(-int32(binary.NativeEndian.Uint32(body))); {
				case errno == unix.ENOBUFS:
					// Its first message has no room yet: the dump goes on as soon as half
					// of the socket has been read (netlink_recvmsg).
				case w.ipv6 && w.dump > 0: // a kernel without IPv6
					w.dump = len(dumps)
				case errno != 0:
					return fmt.Errorf("list links: %w", errno)
				}
			}
		}
	}
	return nil
}

// done ends a dump: what it did not show has gone while messages were lost. That is reported
// before what has come, which may be the same adapter registered again: two interfaces of one
// name would be more than the kernel ever has.
func (w *watcher) done(ctx context.Context) error {
	switch {
	case w.overrun:
		return nil // caughtUp asks again: this one may not know what has gone
	case w.lost:
		return w.again()
	case w.dump == 0:
		for index, d := range w.known {
			if !w.seen[index] {
				w.link(ctx, d, true)
			}
		}
		w.renewed = false
		for _, index := range slices.Sorted(maps.Keys(w.held)) {
			w.link(ctx, w.held[index], false)
		}
		clear(w.held)
	case w.dump == len(dumps)-1:
		w.fresh(ctx)
	}
	if w.dump++; w.ipv6 && w.dump < len(dumps) {
		return w.request(w.dump)
	}
	return nil
}

func (w *watcher) link(ctx context.Context, d Device, gone bool) {
	if gone {
		delete(w.known, d.Index)
		delete(w.held, d.Index)
		w.emit(ctx, Event{Device: d, Gone: true})
		return
	}
	w.seen[d.Index] = true
	old, ok := w.known[d.Index]
	if !ok && w.renewed {
		w.held[d.Index] = d
		return
	}
	if d.Perm == "" && ok {
		d.Perm = old.Perm // asked for below
	}
	if ok && old.Name == d.Name {
		d.Physical, d.Driver, d.HCA, d.Port, d.Udev = old.Physical, old.Driver, old.HCA, old.Port, old.Udev
	} else {
		d.Physical, d.Driver = w.physical(d.Name)
		if d.Perm == "" && d.Physical && d.Type == HwEthernet {
			d.Perm = w.perm(d.Name)
		}
		if d.Hardware() {
			d.Udev = sysTree("/sys").card(d.Name).names(w.scheme)
		}
		if d.Type == HwInfiniBand {
			d.HCA, d.Port = infiniBandPort(SysClassNet, d.Name)
		}
	}
	if d == old {
		return // counters, or something else that does not matter here
	}
	w.known[d.Index] = d
	w.emit(ctx, Event{Device: d})
}

// physical reports whether a bus device that is not a radio is behind an interface, and its
// driver. The kernel makes the links before it announces the interface (register_netdevice).
func physical(classNet, name string) (ok bool, driver string) {
	dir := filepath.Join(classNet, name)
	if _, err := os.Lstat(filepath.Join(dir, "device")); err != nil {
		return false, ""
	}
	if target, err := os.Readlink(filepath.Join(dir, "device", "driver")); err == nil {
		driver = filepath.Base(target)
	}
	_, err := os.Lstat(filepath.Join(dir, "phy80211"))
	return err != nil, driver
}

// operUp is IF_OPER_UP of include/uapi/linux/if.h.
const operUp = 6

// parseLink reads the body of RTM_NEWLINK: struct ifinfomsg and attributes
// (rtnetlink(7)).
func parseLink(b []byte) (Device, bool) {
	if len(b) < unix.SizeofIfInfomsg {
		return Device{}, false
	}
	flags := binary.NativeEndian.Uint32(b[8:])
	d := Device{
		Type:  binary.NativeEndian.Uint16(b[2:]),
		Index: int(int32(binary.NativeEndian.Uint32(b[4:]))),
		Up:    flags&unix.IFF_UP != 0,
	}
	for b = b[unix.SizeofIfInfomsg:]; len(b) >= unix.SizeofRtAttr; {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtAttr || length > len(b) {
			break
		}
		value := b[unix.SizeofRtAttr:length]
		switch kind := binary.NativeEndian.Uint16(b[2:]); {
		case kind == unix.IFLA_IFNAME:
			d.Name = strings.TrimRight(string(value), "\x00")
		case kind == unix.IFLA_ADDRESS:
			d.Addr = HardwareAddr(value)
		case kind == unix.IFLA_PERM_ADDRESS && len(value) == 6:
			d.Perm = HardwareAddr(value)
		case kind == unix.IFLA_BROADCAST:
			d.Broadcast = HardwareAddr(value)
		case kind == unix.IFLA_LINK && len(value) == 4:
			d.Parent = int(binary.NativeEndian.Uint32(value))
		case kind == unix.IFLA_MTU && len(value) == 4:
			d.MTU = int(binary.NativeEndian.Uint32(value))
		case kind == unix.IFLA_MASTER && len(value) == 4:
			d.Master = int(binary.NativeEndian.Uint32(value))
		case kind == unix.IFLA_OPERSTATE && len(value) == 1:
			d.Running = value[0] == operUp
		case kind&nlaType == unix.IFLA_PROP_LIST:
			d.Alt = parseAltNames(value)
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	d.Carrier = flags&unix.IFF_LOWER_UP != 0
	return d, d.Name != "" && d.Index > 0
}

// parseAltNames reads IFLA_PROP_LIST, of whose attributes IFLA_ALT_IFNAME is a
// name (rtnl_prop_list_size of net/core/rtnetlink.c). A slash is in none of them
// (dev_valid_name of net/core/dev.c).
func parseAltNames(b []byte) string {
	var names []string
	for len(b) >= unix.SizeofRtAttr {
		length := int(binary.NativeEndian.Uint16(b))
		if length < unix.SizeofRtAttr || length > len(b) {
			break
		}
		name := strings.TrimRight(string(b[unix.SizeofRtAttr:length]), "\x00")
		if binary.NativeEndian.Uint16(b[2:])&nlaType == unix.IFLA_ALT_IFNAME && name != "" {
			names = append(names, name)
		}
		b = b[min(len(b), (length+3)&^3):]
	}
	return strings.Join(names, "/")
}
