//go:build ownmachine

// See link_vm_linux_test.go.

package bringup

import (
	"context"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// defaultBond makes a bond as the module does by itself (max_bonds=1), or a
// kernel that has it built in.
func defaultBond(t *testing.T, name string) {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(netlink.NewLinkBond(attrs)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { remove(t, name) })
}

// A bond that is there already gets the options of the word, be it up or down.
func TestKernelBondThere(t *testing.T) {
	const line = "bond=bond0:eth0,eth1:mode=active-backup,primary=eth1,miimon=50,updelay=100 ip=10.0.0.5:::24::bond0:none nodisk.arp-probe=0"
	for name, isUp := range map[string]bool{"down": false, "up": true} {
		t.Run(name, func(t *testing.T) {
			defaultBond(t, "bond0")
			if got := sysfs("bond0", "bonding/mode"); got != "balance-rr 0" {
				t.Fatalf("the default mode is %s", got)
			}
			if isUp {
				apply(t, []link.Step{link.Up{Dev: "bond0"}})
			}
			dummy(t, "eth0")
			dummy(t, "eth1")
			c, err := netsetup.ParseConfig(cmdline.Parse(line))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := Up(ctx, c, nil); err != nil {
				t.Fatal(err)
			}
			for file, want := range map[string]string{"mode": "active-backup 1", "miimon": "50", "updelay": "100", "primary": "eth1", "slaves": "eth0 eth1"} {
				if got := sysfs("bond0", "bonding/"+file); got != want {
					t.Errorf("%s is %q, want %q", file, got, want)
				}
			}
		})
	}
}

// What has the name and is something else is named, and nothing is changed.
func TestKernelLinkClash(t *testing.T) {
	dummy(t, "eth0")
	dummy(t, "eth1")
	dummy(t, "eth2")
	defaultBond(t, "bond0")
	apply(t, []link.Step{link.SetMaster{Dev: "eth1", Master: "bond0"}})
	apply(t, []link.Step{link.VLANAdd{Name: "vlan7", Link: "eth0", ID: 7}})
	t.Cleanup(func() { remove(t, "vlan7") })
	backup := []link.BondOption{{Name: "mode", Value: "active-backup"}, {Name: "miimon", Value: "100"}}
	for _, tt := range []struct {
		step link.Step
		want string
	}{
		{link.BondAdd{Name: "eth0", Options: backup}, "eth0 exists already and is of the kind dummy: choose another name for the bond"},
		{link.BondAdd{Name: "bond0", Options: backup}, "bond0 exists already, with mode balance-rr and the ports eth1: choose another name for the bond"},
		{link.BridgeAdd{Name: "bond0", Addr: macA}, "bond0 exists already and is of the kind bond: choose another name for the bridge"},
		{link.VLANAdd{Name: "vlan7", Link: "eth0", ID: 7}, ""},
		{link.VLANAdd{Name: "vlan7", Link: "eth0", ID: 8}, "vlan7 exists already and has another number: choose another name for the vlan"},
		{link.VLANAdd{Name: "vlan7", Link: "eth2", ID: 7}, "vlan7 exists already and is made of another interface: choose another name for the vlan"},
		{link.VLANAdd{Name: "other", Link: "eth0", ID: 7}, "other: that vlan exists already under another name: write that name"},
	} {
		got := ""
		if err := tt.step.Apply(link.Kernel{}); err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.step, got, tt.want)
		}
	}
	if got := sysfs("bond0", "bonding/mode"); got != "balance-rr 0" {
		t.Errorf("the mode is %s", got)
	}
}

// Delays are multiples of miimon: what the kernel makes of others is told.
func TestKernelBondShortfall(t *testing.T) {
	b := link.BondAdd(parseLine(t, "bond=bond0:eth0:mode=1,miimon=100,updelay=250").Bonds[0])
	t.Cleanup(func() { remove(t, "bond0") })
	const want = "bond bond0: the kernel has not taken all options: updelay is 200 instead of 250"
	for range 2 { // a second time changes nothing
		if err := b.Apply(link.Kernel{}); err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
