package bringup

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Two cards that change names, and one that gets another, with a kernel.
func TestUpNames(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a := newCable(t, "eth0", macA, prefix("10.78.0.1/24"))
	b := newCable(t, "eth1", macB, prefix(serverNet))
	for _, c := range []*cable{a, b} {
		c.plug(true)
		c.serve(fakekernel.GoodServer(t))
	}
	alt, err := netlink.LinkByName("eth1")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkAddAltName(alt, "uplink"); err != nil {
		testenv.Missing(t, "alternative names (Linux 5.5): "+err.Error())
	}
	names := map[link.HardwareAddr]link.UdevNames{macA: {Slot: "ens3", Path: "enp0s3"}, macB: {Slot: "ens4", Path: "enp0s4"}}
	for _, tt := range []struct {
		line, want string // the device, and who has the names afterwards
		a, b       string
	}{
		{"ip=uplink:dhcp", "eth1", "eth0", "eth1"},
		{"ifname=eth0:52:54:00:12:34:57 ifname=eth1:52:54:00:12:34:56 ip=eth0:dhcp", "eth0", "eth1", "eth0"},
		{"ifname=eth1:52:54:00:12:34:57 ip=eth1:dhcp ip=eth0:none bootdev=eth1", "eth1", "eth0", "eth1"},
		{"ifname=eth0:52:54:00:12:34:57 ip=eth0:dhcp", "eth0", "ens3", "eth0"},
		{"ip=enp0s4:dhcp", "enp0s4", "ens3", "enp0s4"},
		{"ip=52-54-00-12-34-57:dhcp", "ens4", "ens3", "ens4"},
	} {
		c, err := netsetup.ParseConfig(cmdline.Parse(tt.line))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		buf := &lockedBuffer{}
		s, err := run(ctx, c, physicalVeth{udev: names}, slog.New(slog.NewTextHandler(buf, nil)))
		cancel()
		if err != nil || s.Device != tt.want || s.MAC != macB {
			t.Errorf("%s: %v at %v, %v; want %s\n%s", tt.line, s, s.MAC, err, tt.want, buf)
		}
		for mac, want := range map[link.HardwareAddr]string{macA: tt.a, macB: tt.b} {
			l, err := netlink.LinkByName(want)
			if err != nil || l.Attrs().HardwareAddr.String() != net.HardwareAddr(mac).String() {
				t.Errorf("%s: %s is not called %s: %v, %v", tt.line, mac, want, l, err)
			} else if err := netlink.LinkSetDown(l); err != nil {
				t.Fatal(err)
			}
		}
	}
}
