package netsetup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

func TestBondOptions(t *testing.T) {
	lines := linktest.BondLines()
	// Kernels before 6.18 refuse the number.
	lines["bond=b:eth0:mode=4,ad_select=3"] = "mode 802.3ad miimon 100 ad_select actor_port_prio"
	for line, want := range lines {
		t.Run(line, func(t *testing.T) {
			got, _ := strings.CutPrefix(link.BondAdd(parseLine(t, line).Bonds[0]).String(), "ip link add b type bond ")
			got = strings.TrimPrefix(got, "ip link add bond0 type bond ")
			if got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
		})
	}
}

func TestBondErrors(t *testing.T) {
	many := "bond=b:eth0:arp_interval=100,arp_ip_target=10.0.0.1"
	for i := range 16 {
		many += ";10.0.1." + string(rune('A'+i))
	}
	seventeen := "bond=b:eth0:arp_interval=100,arp_ip_target=10.0.0.1"
	for _, d := range "bcdefghijklmnopq" {
		seventeen += ";10.0.0." + string("0123456789"[1+(d-'b')/10]) + string("0123456789"[(d-'b')%10])
	}
	checkErrors(t, map[string][]string{
		"bond=bond0:":               {`names no port: "" is not an interface name, a hardware address, or driver= and the name of a driver; write bond=bond0:eth0,eth1:`},
		"bond=b:eth0,,eth1":         {`names no port: ""`},
		"bond=b:ens3+ens4":          {`names one port: "ens3+ens4" is one name; write commas between the ports`},
		"bond=b:driver=":            {"names no port"},
		"bond=b:eth0:mode=1:1500:9": {"is not name:ports:options[:mtu]", "addresses with dashes, those of IPv6 in brackets"},
		"bond=b:eth0:mode=7":        {"mode=7 is not one of balance-rr, active-backup, balance-xor, broadcast, 802.3ad, balance-tlb, balance-alb; write mode=balance-rr"},
		"bond=b:eth0:mode":          {"mode= is not one of"},
		"bond=b:eth0:mode=1,mode=2": {"mode is given twice"},
		"bond=b:eth0:speed=1":       {`"speed=1" is not an option of the bonding driver`},
		"bond=b:eth0:max_bonds=1":   {"leave it out: nodisk makes each bond by its own bond="},
		"bond=b:eth0:mode=1:60":     {`"60" is not a number from 68 to 65535`},
		"bond=b:eth0:miimon=-1":     {"miimon=-1 is not a number from 0 to 2147483647"},
		"bond=b:eth0:miimon=0":      {"miimon=0 never notices a dead port; write miimon=100"},
		"bond=b:eth0:miimon=100,arp_interval=100,arp_ip_target=10.0.0.1": {"arp_interval and miimon exclude each other"},
		"bond=b:eth0:arp_interval=100":                                   {"arp_interval has nobody to ask; add arp_ip_target=10.0.0.1"},
		"bond=b:eth0:arp_ip_target=10.0.0.1":                             {"arp_ip_target has no effect without arp_interval; leave it out, or add arp_interval=100"},
		"bond=b:eth0:mode=4,arp_interval=100,arp_ip_target=10.0.0.1": {
			"arp_interval has no effect in mode 802.3ad; leave it out, or write mode=balance-rr or active-backup or balance-xor or broadcast", "arp_ip_target has no effect in mode 802.3ad",
		},
		"bond=b:eth0:arp_interval=9,arp_ip_target=10.0.0.1;10.0.0.1":    {"arp_ip_target names 10.0.0.1 twice"},
		"bond=b:eth0:arp_interval=9,arp_ip_target=255.255.255.255":      {"arp_ip_target=255.255.255.255 is not the IPv4 address of a host; write arp_ip_target=10.0.0.1;10.0.0.2"},
		"bond=b:eth0:arp_interval=9,arp_ip_target=10.0.0.1,eth1":        {"arp_ip_target=eth1 is not the IPv4 address"},
		"bond=b:eth0:arp_interval=9,ns_ip6_target=[ff02::1]":            {"ns_ip6_target=[ff02::1] is not the IPv6 address of a host, in brackets"},
		"bond=b:eth0:arp_interval=9,ns_ip6_target=10.0.0.1":             {"ns_ip6_target=10.0.0.1 is not the IPv6 address"},
		"bond=b:eth0:arp_interval=9,arp_ip_target=[2001:db8::1]":        {"is not the IPv4 address"},
		"bond=b:eth0:mode=4,ad_actor_system=01-00-00-00-00-01":          {"ad_actor_system=01-00-00-00-00-01 is not the Ethernet address of a system, written with dashes; write ad_actor_system=02-00-00-00-00-01"},
		"bond=b:eth0:mode=4,ad_user_port_key=1024,ad_actor_sys_prio=0":  {"is not a number from 0 to 1023", "is not a number from 1 to 65535"},
		"bond=b:eth0:mode=1,primary=eth1":                               {"primary=eth1 is not one of the ports"},
		"bond=b:eth0:mode=1,primary=eth*":                               {"primary=eth* is not the name or address of a port"},
		"bond=bond0:ib0,ib1":                                            {"mode balance-rr is impossible on InfiniBand; write mode=active-backup"},
		"bond=bond0:00-02-c9-03-00-00-10-39:mode=4":                     {"mode 802.3ad is impossible on InfiniBand; write mode=active-backup"},
		"bond=bond0:ib0:mode=1,fail_over_mac=none":                      {"fail_over_mac=none is impossible on InfiniBand; leave it out"},
		"bond=b:eth0:mode=1,arp_missed_max=256,peer_notif_delay=300001": {"is not a number from 1 to 255", "is not a number from 0 to 300000"},
		many:      {"is not the IPv4 address"},
		seventeen: {"arp_ip_target has more than 16 addresses"},
	})
}

// checkErrors tells that each line is refused with these words.
func checkErrors(t *testing.T, lines map[string][]string) {
	t.Helper()
	for line, want := range lines {
		t.Run(line, func(t *testing.T) {
			c, err := ParseConfig(cmdline.Parse(line))
			if err == nil {
				t.Fatalf("no error, but %+v", c)
			}
			for _, w := range want {
				if !strings.Contains(err.Error(), w) {
					t.Errorf("%q is not in:\n%v", w, err)
				}
			}
		})
	}
}

func TestParseBond(t *testing.T) {
	got := parseLine(t, "bond=bond0:eth0,52-54-00-12-34-57,driver=mlx5*,en?:mode=1,primary=eth0:9000 bond=bond1:ib0,00-02-c9-03-00-00-10-39:mode=1 bond=ibft:ibft0,ibft1").Bonds
	want := []link.Bond{
		{
			Name: "bond0", Ports: []link.PortMatch{{Name: "eth0"}, {Addr: macB}, {Driver: "mlx5*"}, {Name: "en?"}}, MTU: 9000,
			Options: []link.BondOption{{Name: "mode", Value: "active-backup"}, {Name: "miimon", Value: "100"}, {Name: "primary", Value: "eth0"}},
		},
		{Name: "bond1", Ports: []link.PortMatch{{Name: "ib0"}, {Addr: linktest.GuideAddr[12:]}}, Options: []link.BondOption{{Name: "mode", Value: "active-backup"}, {Name: "miimon", Value: "100"}}},
		{Name: "ibft", Ports: []link.PortMatch{{Name: "ibft0"}, {Name: "ibft1"}}, Options: []link.BondOption{{Name: "mode", Value: "balance-rr"}, {Name: "miimon", Value: "100"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Options that other initramfs pass over, since the kernel only refuses them: the bond is
// made without, and a warning says so.
func TestBondLeftOut(t *testing.T) {
	for options, want := range map[string]string{
		"mode=1,xmit_hash_policy=layer3+4": "mode active-backup miimon 100: bond=b: xmit_hash_policy=layer3+4 has no effect in mode active-backup and is left out",
		"mode=1,lacp_rate=fast":            "mode active-backup miimon 100: bond=b: lacp_rate=fast has no effect in mode active-backup and is left out",
		"mode=4,primary=eth0":              "mode 802.3ad miimon 100: bond=b: primary=eth0 has no effect in mode 802.3ad and is left out",
		"mode=4,fail_over_mac=active":      "mode 802.3ad miimon 100: bond=b: fail_over_mac=active has no effect in mode 802.3ad and is left out",
		"mode=1,primary_reselect=better":   "mode active-backup miimon 100: bond=b: primary_reselect=better has no effect without primary and is left out",
		"arp_validate=all":                 "mode balance-rr miimon 100: bond=b: arp_validate=all has no effect without arp_interval and is left out",
		"mode=5,arp_validate=1":            "mode balance-tlb miimon 100: bond=b: arp_validate=active has no effect in mode balance-tlb and is left out",
		"mode=1,tlb_dynamic_lb=1,lp_interval=2": "mode active-backup miimon 100: bond=b: lp_interval=2 has no effect in mode active-backup and is left out; " +
			"bond=b: tlb_dynamic_lb=1 has no effect in mode active-backup and is left out",
		"arp_interval=9,arp_ip_target=10.0.0.1,updelay=9": "mode balance-rr arp_interval 9 arp_ip_target 10.0.0.1: bond=b: updelay=9 has no effect without miimon and is left out",
		"mode=1,lacp_rate=slow":                           "mode active-backup miimon 100: ",
	} {
		c := parseLine(t, "bond=b:eth0:"+options)
		got, _ := strings.CutPrefix(link.BondAdd(c.Bonds[0]).String(), "ip link add b type bond ")
		if got += ": " + strings.Join(c.Warnings(), "; "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", options, got, want)
		}
	}
}
