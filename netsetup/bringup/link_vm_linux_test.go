//go:build ownmachine

// The tests of this file change links of the machine that they run on, and need
// a kernel with bonds, VLANs and bridges: integration's TestLinks builds and runs
// them in a VM.

package bringup

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// nlaTypeMask is NLA_TYPE_MASK of include/uapi/linux/netlink.h.
const nlaTypeMask = 0x3fff

// dummy makes an interface that can be a port.
func dummy(t *testing.T, name string) link.Device {
	t.Helper()
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	if err := netlink.LinkAdd(&netlink.Dummy{LinkAttrs: attrs}); err != nil {
		t.Fatalf("make %s: %v", name, err)
	}
	t.Cleanup(func() { remove(t, name) })
	return link.Device{Index: 1, Name: name, Type: link.HwEthernet, MTU: 1500, Physical: true, Carrier: true}
}

func remove(t *testing.T, dev string) {
	t.Helper()
	l, err := netlink.LinkByName(dev)
	if err != nil {
		return // gone with another one
	}
	if err := netlink.LinkDel(l); err != nil {
		t.Errorf("remove %s: %v", dev, err)
	}
}

func apply(t *testing.T, steps []link.Step) {
	t.Helper()
	if text := applied(t, steps); text != "" {
		t.Fatal(text)
	}
}

// applied is what the kernel could not do of the steps.
func applied(t *testing.T, steps []link.Step) (text string) {
	t.Helper()
	for _, s := range steps {
		err := s.Apply(link.Kernel{})
		if short := (*link.Shortfall)(nil); errors.As(err, &short) {
			text = phrase.Sentences(text, short.What)
		} else if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return text
}

// sysfs is a file of an interface, without the line's end.
func sysfs(dev, file string) string {
	b, err := os.ReadFile(filepath.Join(link.SysClassNet, dev, file))
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b))
}

// toldData are the attributes of a bond as the kernel tells them.
func toldData(t *testing.T, dev string) map[int]string {
	t.Helper()
	l, err := netlink.LinkByName(dev)
	if err != nil {
		t.Fatal(err)
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(l.Attrs().Index)
	req.AddData(msg)
	answer, err := req.Execute(unix.NETLINK_ROUTE, 0)
	if err != nil || len(answer) != 1 {
		t.Fatalf("read %s: %v", dev, err)
	}
	return infoData(t, answer[0][unix.SizeofIfInfomsg:])
}

// infoData are the attributes that depend on the kind, in a message's.
func infoData(t *testing.T, attrs []byte) map[int]string {
	t.Helper()
	for _, kind := range []uint16{unix.IFLA_LINKINFO, unix.IFLA_INFO_DATA} {
		list, err := nl.ParseRouteAttr(attrs)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range list {
			if a.Attr.Type&nlaTypeMask == kind {
				attrs = a.Value
			}
		}
	}
	list, err := nl.ParseRouteAttr(attrs)
	if err != nil {
		t.Fatal(err)
	}
	data := map[int]string{}
	for _, a := range list {
		data[int(a.Attr.Type&nlaTypeMask)] = string(a.Value)
	}
	return data
}

// Every option in every mode: the kernel takes it, and tells it back, by netlink
// and in sysfs.
func TestKernelBond(t *testing.T) {
	ports := []link.Device{dummy(t, "eth0"), dummy(t, "eth1")}
	seen := map[string]bool{}
	for _, line := range slices.Sorted(maps.Keys(linktest.BondLines())) {
		t.Run(line, func(t *testing.T) {
			c := parseLine(t, line)
			b := c.Bonds[0]
			if slices.ContainsFunc(b.Ports, link.PortMatch.InfiniBand) {
				b.Ports = []link.PortMatch{{Name: "eth0"}}
				c.Bonds[0] = b
			}
			told := ""
			for range 2 { // the second time is no error
				told = applied(t, c.Below(link.Device{Type: link.HwLoopback}))
			}
			t.Cleanup(func() { remove(t, b.Name) })
			want := map[int]string{}
			sent := infoData(t, link.Info("bond", link.BondData(b.Options)).Serialize())
			for _, d := range ports {
				apply(t, c.Below(d))
			}
			got := toldData(t, b.Name)
			table := link.BondTable()
			for _, given := range b.Options {
				o := table[link.FindBondOption(table, given.Name)]
				switch {
				case o.Kind == link.BondPort:
					continue // below
				case got[int(o.Attr)] == "":
					// Kernels before 6.9, 6.17 and 7.2 do not know the newest ones.
					if !strings.Contains(told, o.Name+" is unknown to this kernel") {
						t.Errorf("this kernel does not tell %s by netlink, and that is not said: %q", o.Name, told)
					}
					seen[o.Name] = true
					continue
				case o.List():
					// It numbers them, which makes no difference.
					got[int(o.Attr)], sent[int(o.Attr)] = addresses(t, got[int(o.Attr)]), addresses(t, sent[int(o.Attr)])
				}
				want[int(o.Attr)] = sent[int(o.Attr)]
				text := sysfs(b.Name, "bonding/"+sysfsName(o.Name))
				if _, err := os.Stat(filepath.Join(link.SysClassNet, b.Name, "bonding", sysfsName(o.Name))); err != nil {
					t.Logf("%s is not in sysfs", o.Name)
				} else if words := strings.Fields(text); !slices.Contains(words, given.Value) && strings.Join(words, ",") != given.Value {
					t.Errorf("%s is %q, want %s", o.Name, text, given.Value)
				}
				seen[o.Name] = true
			}
			maps.DeleteFunc(got, func(attr int, _ string) bool { _, ok := want[attr]; return !ok })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("netlink (-want +got):\n%s", diff)
			}
			if names := sysfs(b.Name, "bonding/slaves"); names != strings.TrimSpace(names) || !strings.HasPrefix(names, "eth0") {
				t.Errorf("ports are %q", names)
			}
			for _, name := range []string{"primary", "active_slave"} {
				if v := b.Option(name); v != "" {
					seen[name] = true
					if got := sysfs(b.Name, "bonding/"+name); got != v {
						t.Errorf("%s is %q, want %s", name, got, v)
					}
				}
			}
		})
	}
	for _, o := range link.BondTable() {
		if !seen[o.Name] {
			t.Errorf("%s was not tried", o.Name)
		}
	}
}

func sysfsName(option string) string {
	return strings.Replace(option, "notify", "notif", 1)
}

func addresses(t *testing.T, list string) string {
	t.Helper()
	attrs, err := nl.ParseRouteAttr([]byte(list))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, a := range attrs {
		fmt.Fprintf(&out, "%x ", a.Value)
	}
	return out.String()
}

// A port that joins a bond in use, in every mode: it is taken in, and the
// primary one becomes active.
func TestKernelLatePort(t *testing.T) {
	for mode := range strings.FieldsSeq("balance-rr active-backup balance-xor broadcast 802.3ad balance-tlb balance-alb") {
		t.Run(mode, func(t *testing.T) {
			first, late := dummy(t, "eth0"), dummy(t, "eth1")
			options := "mode=" + mode
			primary := slices.Contains([]string{"active-backup", "balance-tlb", "balance-alb"}, mode)
			if primary {
				options += ",primary=eth1"
			}
			c := parseLine(t, "bond=bond0:eth0,eth1:"+options+" ip=bond0:off")
			apply(t, c.Below(link.Device{Type: link.HwLoopback}))
			t.Cleanup(func() { remove(t, "bond0") })
			apply(t, append(c.Below(first), link.Up{Dev: "bond0"}))
			address := sysfs("bond0", "address")
			if address != sysfs("eth0", "address") {
				t.Errorf("the bond has %s, its port %s", address, sysfs("eth0", "address"))
			}
			late.Up = true
			apply(t, append([]link.Step{link.Up{Dev: "eth1"}}, c.Below(late)...))
			if got := sysfs("bond0", "bonding/slaves"); got != "eth0 eth1" {
				t.Errorf("ports are %s", got)
			}
			if got := sysfs("bond0", "address"); got != address {
				t.Errorf("the bond had %s and has %s", address, got)
			}
			if got := sysfs("bond0", "bonding/active_slave"); primary && got != "eth1" {
				t.Errorf("%s is active", got)
			}
		})
	}
}

// Up makes a bridge over a VLAN over a bond, and takes what is there already.
func TestKernelChain(t *testing.T) {
	for _, dev := range []string{"eth0", "eth1"} {
		dummy(t, dev)
	}
	for _, dev := range []string{"bond0", "vlan5", "br0", "vlan9"} {
		t.Cleanup(func() { remove(t, dev) })
	}
	c, err := netsetup.ParseConfig(cmdline.Parse("bond=bond0:eth0,eth1:mode=1,primary=eth0,active_slave=eth0 vlan=vlan5:bond0 bridge=br0:vlan5 vlan=vlan9:br0:9 ip=10.0.0.5:::24::vlan9:none:1400 ip=br0:off:9000"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := Up(ctx, c, nil); err != nil {
			t.Fatal(err)
		}
		cancel()
		for what, want := range map[[2]string]string{
			{"vlan5", "brport/state"}:   "3", // forwarding
			{"br0", "bridge/stp_state"}: "0", {"br0", "bridge/forward_delay"}: "0",
			{"br0", "addr_assign_type"}: "3", // NET_ADDR_SET: it stays
			{"br0", "address"}:          sysfs("vlan5", "address"),
			{"br0", "mtu"}:              "9000", {"vlan5", "mtu"}: "9000", {"bond0", "mtu"}: "9000", {"vlan9", "mtu"}: "1400",
			{"bond0", "address"}:         sysfs("vlan5", "address"),
			{"bond0", "bonding/miimon"}:  "100",
			{"bond0", "bonding/primary"}: "eth0",
		} {
			if got := sysfs(what[0], what[1]); got != want {
				t.Errorf("%s of %s is %s, want %s", what[1], what[0], got, want)
			}
		}
		for dev, id := range map[string]string{"vlan5": "VID: 5", "vlan9": "VID: 9"} {
			if b, err := os.ReadFile("/proc/net/vlan/" + dev); err != nil || !strings.Contains(string(b), id) {
				t.Errorf("%s: %v\n%s", dev, err, b)
			}
		}
	}
}

// Addresses and routes of IPv6, twice.
func TestKernelIPv6(t *testing.T) {
	dummy(t, "eth0")
	for range 2 {
		apply(t, []link.Step{
			link.Up{Dev: "eth0"},
			link.AddrAdd{Dev: "eth0", Addr: prefix("2001:db8::5/64")},
			link.Route{Dst: prefix("2001:db8:1::/48"), Dev: "eth0"},
			link.Route{Dst: prefix("2001:db8:2::/48"), Via: addr("2001:db8::9"), Dev: "eth0", Metric: 7},
			link.Route{Dst: prefix("2001:db8:3::/48"), Via: addr("2001:db9::9"), Dev: "eth0", OnLink: true},
			link.Route{Dst: prefix("::/0"), Via: addr("fe80::1"), Dev: "eth0"},
		})
		b, err := os.ReadFile("/proc/net/ipv6_route")
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"20010db8000100000000000000000000 30 00000000000000000000000000000000 00 00000000000000000000000000000000 00000400",
			"20010db8000200000000000000000000 30 00000000000000000000000000000000 00 20010db8000000000000000000000009 00000007",
			"20010db8000300000000000000000000 30 00000000000000000000000000000000 00 20010db9000000000000000000000009 00000400",
			"00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400",
		} {
			if strings.Count(string(b), want) != 1 {
				t.Errorf("%q is there %d times in:\n%s", want, strings.Count(string(b), want), b)
			}
		}
		if b, _ := os.ReadFile("/proc/net/if_inet6"); !strings.Contains(string(b), "20010db8000000000000000000000005") {
			t.Errorf("no address in:\n%s", b)
		}
	}
}
