package link

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

// attr appends a route attribute.
func attr(b []byte, kind uint16, value string) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofRtAttr+len(value)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, value...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// newLink is the body of an RTM_NEWLINK message.
func newLink(family byte, index int32, flags uint32, name string, oper byte) []byte {
	b := []byte{family, 0}
	b = binary.NativeEndian.AppendUint16(b, HwEthernet)
	b = binary.NativeEndian.AppendUint32(b, uint32(index))
	b = binary.NativeEndian.AppendUint32(b, flags)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = attr(b, unix.IFLA_IFNAME, name+"\x00")
	b = attr(b, unix.IFLA_ADDRESS, string(macA))
	b = attr(b, unix.IFLA_MTU, "\xdc\x05\x00\x00")
	b = attr(b, unix.IFLA_MASTER, "\x07\x00\x00\x00")
	return attr(b, unix.IFLA_OPERSTATE, string([]byte{oper}))
}

func rtMessage(kind uint16, body []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(body)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = append(b, make([]byte, 10)...)
	return append(b, body...)
}

func TestParseLink(t *testing.T) {
	got, ok := parseLink(newLink(0, 5, unix.IFF_UP|unix.IFF_LOWER_UP, "eth0", operUp))
	want := Device{Index: 5, Name: "eth0", Addr: macA, Type: HwEthernet, MTU: 1500, Up: true, Carrier: true, Running: true, Master: 7}
	if diff := cmp.Diff(want, got); diff != "" || !ok {
		t.Errorf("%v (-want +got):\n%s", ok, diff)
	}
	if d, ok := parseLink(newLink(0, 0, 0, "eth0", 0)); ok {
		t.Errorf("index 0: %+v", d)
	}
}

// Kernels before 5.6 do not tell the permanent address with the link: it is asked
// for once, and kept when the adapter has become a port.
func TestWatcherPermanentAddress(t *testing.T) {
	events := make(chan Event, 16)
	w := newWatcher(events, false, nil)
	asked := 0
	w.perm = func(string) HardwareAddr { asked++; return macB }
	w.physical = func(string) (bool, string) { return true, "virtio_net" }
	for _, oper := range []byte{0, operUp} {
		body := newLink(0, 5, unix.IFF_UP, "eth0", oper)
		if err := w.messages(t.Context(), rtMessage(unix.RTM_NEWLINK, body)); err != nil {
			t.Fatal(err)
		}
		d := (<-events).Device
		m, _ := ParsePortMatch("52-54-00-12-34-57")
		if d.Perm != macB || !m.Selects(d) || asked != 1 {
			t.Errorf("permanent address %s, asked %d times", d.Perm, asked)
		}
	}
	// An address that the kernel tells is not asked for.
	body := attr(newLink(0, 6, unix.IFF_UP, "eth1", 0), unix.IFLA_PERM_ADDRESS, string(macA))
	if err := w.messages(t.Context(), rtMessage(unix.RTM_NEWLINK, body)); err != nil {
		t.Fatal(err)
	}
	if d := (<-events).Device; d.Perm != macA || asked != 1 {
		t.Errorf("permanent address %s, asked %d times", d.Perm, asked)
	}
}

// The kernel's alternative names come with those messages.
func TestParseAltNames(t *testing.T) {
	names := attr(attr(nil, unix.IFLA_ALT_IFNAME, "enp0s3\x00"), unix.IFLA_ALT_IFNAME, "enx525400123456\x00")
	b := attr(newLink(0, 5, 0, "eth0", operUp), unix.IFLA_PROP_LIST|unix.NLA_F_NESTED, string(names))
	got, ok := parseLink(b)
	if !ok || got.Alt != "enp0s3/enx525400123456" {
		t.Errorf("%v, %q", ok, got.Alt)
	}
	got.Udev = UdevNames{Path: "enp0s3", Slot: "ens3"}
	if diff := cmp.Diff([]string{"eth0", "enp0s3", "enx525400123456", "ens3"}, got.Names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if alt := parseAltNames([]byte{200, 0, 53, 0, 'x'}); alt != "" {
		t.Errorf("%q of what is cut off", alt)
	}
}

// What a second list does not show has gone while messages were lost.
func TestWatcher(t *testing.T) {
	events := make(chan Event, 16)
	asked := 0
	w := newWatcher(events, false, func(int) error { asked++; return nil })
	feed := func(messages ...[]byte) {
		t.Helper()
		var b []byte
		for _, m := range messages {
			b = append(b, m...)
		}
		if err := w.messages(context.Background(), b); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	drain := func() {
		for len(events) > 0 {
			e := <-events
			got = append(got, map[bool]string{true: "-", false: "+"}[e.Gone]+e.Name)
		}
	}
	a, b := newLink(0, 5, 0, "nodisk-a", 0), newLink(0, 6, 0, "nodisk-b", 0)
	feed(rtMessage(unix.RTM_NEWLINK, a), rtMessage(unix.RTM_NEWLINK, b), rtMessage(unix.NLMSG_DONE, make([]byte, 4)))
	feed(rtMessage(unix.RTM_NEWLINK, a))                                           // nothing new
	feed(rtMessage(unix.RTM_NEWLINK, newLink(unix.AF_BRIDGE, 5, 0, "x", 0)))       // another family
	feed(rtMessage(unix.RTM_NEWLINK, newLink(0, 5, unix.IFF_UP, "nodisk-a", 0)))   // up
	feed(rtMessage(unix.RTM_NEWLINK, newLink(0, 5, unix.IFF_UP, "nodisk-lan", 0))) // renamed
	drain()
	if err := w.again(); err != nil {
		t.Fatal(err)
	}
	feed(rtMessage(unix.RTM_NEWLINK, newLink(0, 5, 0, "nodisk-lan", 0)), rtMessage(unix.NLMSG_DONE, make([]byte, 4)))
	feed(rtMessage(unix.RTM_DELLINK, newLink(0, 5, 0, "nodisk-lan", 0)))
	drain()
	// A list that changed while it was read is asked for again.
	torn := rtMessage(unix.RTM_NEWLINK, a)
	binary.NativeEndian.PutUint16(torn[6:], unix.NLM_F_DUMP_INTR)
	feed(torn, rtMessage(unix.NLMSG_DONE, make([]byte, 4)), rtMessage(unix.RTM_NEWLINK, a), rtMessage(unix.NLMSG_DONE, make([]byte, 4)))
	drain()
	if asked != 2 || len(w.seen) != 1 {
		t.Errorf("%d lists asked for, %v seen", asked, w.seen)
	}
	want := []string{"+nodisk-a", "+nodisk-b", "+nodisk-a", "+nodisk-lan", "+nodisk-lan", "-nodisk-b", "-nodisk-lan", "+nodisk-a"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := w.messages(context.Background(), rtMessage(unix.NLMSG_ERROR, []byte{0xff, 0xff, 0xff, 0xff})); err == nil {
		t.Error("the kernel's refusal is no error")
	}
}

func TestPhysical(t *testing.T) {
	dir := t.TempDir()
	for _, d := range []string{"eth0/device", "wlan0/device", "wlan0/phy80211", "veth0", "drivers/e1000"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("../../drivers/e1000", filepath.Join(dir, "eth0/device/driver")); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{"eth0": true, "wlan0": false, "veth0": false, "none": false} {
		if got, driver := physical(dir, name); got != want || (name == "eth0") != (driver == "e1000") {
			t.Errorf("%s: %v, %q", name, got, driver)
		}
	}
}

func FuzzParseLink(f *testing.F) {
	f.Add(newLink(0, 5, unix.IFF_UP|unix.IFF_LOWER_UP, "eth0", operUp))
	f.Add(attr(newLink(0, 5, 0, "eth0", 0), unix.IFLA_PROP_LIST|unix.NLA_F_NESTED, string(attr(nil, unix.IFLA_ALT_IFNAME, "ens3\x00"))))
	f.Add([]byte{})
	torn := rtMessage(unix.RTM_NEWLINK, newLink(0, 5, 0, "eth0", 0))
	binary.NativeEndian.PutUint16(torn[6:], unix.NLM_F_DUMP_INTR)
	f.Add(append(torn, rtMessage(unix.NLMSG_DONE, make([]byte, 4))...))
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := parseLink(b); ok && (d.Name == "" || d.Index <= 0) {
			t.Errorf("%+v", d)
		}
		w := newWatcher(make(chan Event, 1000), true, func(int) error { return nil })
		_ = w.messages(context.Background(), append(rtMessage(unix.RTM_DELLINK, b), b...))
	})
}

// When messages were lost, what has gone is told before what has come, of which an
// adapter that is registered again has the name of the one that has gone, or its place; an
// interface that was renamed has not gone.
func TestWatcherGoneFirst(t *testing.T) {
	link := func(index int32, name string) []byte {
		return rtMessage(unix.RTM_NEWLINK, newLink(0, index, 0, name, 0))
	}
	gone := func(index int32, name string) []byte {
		return rtMessage(unix.RTM_DELLINK, newLink(0, index, 0, name, 0))
	}
	done := rtMessage(unix.NLMSG_DONE, make([]byte, 4))
	torn := func(b []byte) []byte {
		binary.NativeEndian.PutUint16(b[6:], unix.NLM_F_DUMP_INTR)
		return b
	}
	for name, tt := range map[string]struct {
		after [][]byte // of two links, 5 nodisk-a and 6 nodisk-b
		want  []string
	}{
		"same name":         {[][]byte{link(2, "nodisk-a"), link(6, "nodisk-b"), done}, []string{"-5 nodisk-a", "+2 nodisk-a"}},
		"other name":        {[][]byte{link(2, "nodisk-c"), link(6, "nodisk-b"), done}, []string{"-5 nodisk-a", "+2 nodisk-c"}},
		"renamed":           {[][]byte{link(2, "nodisk-a"), link(5, "nodisk-x"), link(6, "nodisk-b"), done}, []string{"+5 nodisk-x", "+2 nodisk-a"}},
		"before the dump":   {[][]byte{link(9, "nodisk-a"), link(6, "nodisk-b"), link(9, "nodisk-a"), done}, []string{"-5 nodisk-a", "+9 nodisk-a"}},
		"comes and goes":    {[][]byte{link(9, "nodisk-a"), link(6, "nodisk-b"), gone(9, "nodisk-a"), done}, []string{"-9 nodisk-a", "-5 nodisk-a"}},
		"in order":          {[][]byte{link(9, "nodisk-c"), link(5, "nodisk-a"), link(6, "nodisk-b"), link(2, "nodisk-d"), done}, []string{"+2 nodisk-d", "+9 nodisk-c"}},
		"torn":              {[][]byte{torn(link(2, "nodisk-a")), done, link(3, "nodisk-a"), link(6, "nodisk-b"), done}, []string{"-5 nodisk-a", "+3 nodisk-a"}},
		"told when it ends": {[][]byte{link(5, "nodisk-a"), link(6, "nodisk-b"), done, link(9, "nodisk-c")}, []string{"+9 nodisk-c"}},
	} {
		t.Run(name, func(t *testing.T) {
			events := make(chan Event, 16)
			w := newWatcher(events, false, func(int) error { return nil })
			feed := func(messages ...[]byte) {
				t.Helper()
				for _, m := range messages {
					if err := w.messages(t.Context(), m); err != nil {
						t.Fatal(err)
					}
				}
			}
			feed(link(5, "nodisk-a"), link(6, "nodisk-b"), done)
			for range 2 {
				<-events
			}
			w.missed()
			if err := w.caughtUp(); err != nil {
				t.Fatal(err)
			}
			feed(tt.after...)
			var got []string
			for len(events) > 0 {
				e := <-events
				got = append(got, fmt.Sprintf("%s%d %s", map[bool]string{true: "-", false: "+"}[e.Gone], e.Index, e.Name))
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || len(w.held) > 0 {
				t.Errorf("%v held (-want +got):\n%s", w.held, diff)
			}
		})
	}
}
