//go:build ownmachine

// See link_vm_linux_test.go.

package bringup

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A bond that somebody deletes takes its VLAN with it. While nodisk keeps the network
// both are made again, with their ports, MTU and address; and they follow a port whose
// MTU changes, down and up.
func TestKernelLinksMadeAgain(t *testing.T) {
	for _, dev := range []string{"eth0", "eth1"} {
		dummy(t, dev)
	}
	for _, dev := range []string{"bond0", "vlan5"} {
		t.Cleanup(func() { remove(t, dev) })
	}
	c, err := netsetup.ParseConfig(cmdline.Parse("bond=bond0:eth0,eth1:mode=1:9000 vlan=vlan5:bond0 ip=10.0.0.5:::24::vlan5:none:8000 nodisk.arp-probe=0"))
	if err != nil {
		t.Fatal(err)
	}
	log := &lockedBuffer{}
	n, err := New(c, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if s, err := n.Up(ctx); err != nil || s.String() != "vlan5 10.0.0.5/24 static" || s.MTU != 8000 {
		t.Fatalf("%v, MTU %d, %v", s, s.MTU, err)
	}
	kept := make(chan error)
	on, stop := context.WithCancel(ctx)
	go func() { kept <- n.Keep(on) }()
	whole := func(what, bond, vlan string) {
		t.Helper()
		eventually(t, what, func() bool {
			if _, err := netlink.LinkByName("vlan5"); err != nil {
				return false // not made again yet
			}
			addrs := strings.Join(show(t, "vlan5"), "\n")
			return strings.Join(strings.Fields(sysfs("bond0", "bonding/slaves")), " ") == "eth0 eth1" && sysfs("bond0", "mtu") == bond &&
				sysfs("vlan5", "mtu") == vlan && sysfs("vlan5", "operstate") == "up" && strings.Contains(addrs, "10.0.0.5/24")
		})
	}
	whole("the links", "9000", "8000")
	remove(t, "bond0")
	whole("the links that were made again", "9000", "8000")
	apply(t, []link.Step{link.SetMTU{Dev: "eth1", MTU: 4000}})
	whole("the smaller MTU", "4000", "4000")
	// The bond has given its ports its own.
	apply(t, []link.Step{link.SetMTU{Dev: "eth0", MTU: 9000}, link.SetMTU{Dev: "eth1", MTU: 9000}})
	whole("the larger MTU", "9000", "8000")
	stop()
	if err := <-kept; err != nil {
		t.Error(err)
	}
	n.Close()
	if text := log.String(); !strings.Contains(text, "bond0: the MTU is 4000 instead of 9000: its ports have no more") {
		t.Error(text)
	}
}
