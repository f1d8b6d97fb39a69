package netsetup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// bondLines have every option of the bonding driver, in every mode, and what
// ip(8) is told for it.
func bondLines() map[string]string {
	return map[string]string{
		"bond":                            "mode balance-rr miimon 100",
		"bond=b":                          "mode balance-rr miimon 100",
		"bond=b:eth0":                     "mode balance-rr miimon 100",
		"bond=b:eth0::1500":               "mode balance-rr miimon 100",
		"bond=b:eth0:mode=0":              "mode balance-rr miimon 100",
		"bond=b:eth0:mode=1":              "mode active-backup miimon 100",
		"bond=b:eth0:mode=2":              "mode balance-xor miimon 100",
		"bond=b:eth0:mode=3":              "mode broadcast miimon 100",
		"bond=b:eth0:mode=4":              "mode 802.3ad miimon 100",
		"bond=b:eth0:mode=5":              "mode balance-tlb miimon 100",
		"bond=b:eth0:mode=6":              "mode balance-alb miimon 100",
		"bond=b:eth0:mode=balance-rr":     "mode balance-rr miimon 100",
		"bond=b:eth0:mode=balance-xor":    "mode balance-xor miimon 100",
		"bond=b:eth0:mode=broadcast":      "mode broadcast miimon 100",
		"bond=b:eth0:mode=balance-tlb":    "mode balance-tlb miimon 100",
		"bond=b:eth0:mode=balance-alb":    "mode balance-alb miimon 100",
		"bond=b:eth0:miimon=050":          "mode balance-rr miimon 50",
		"bond=b:eth0:packets_per_slave=0": "mode balance-rr miimon 100 packets_per_slave 0",
		"bond=b:eth0:packets_per_port=7;resend_igmp=255;all_ports_active=on":                               "mode balance-rr miimon 100 resend_igmp 255 all_slaves_active 1 packets_per_slave 7",
		"bond=b:ib0:mode=active-backup,updelay=200;downdelay=300;fail_over_mac=1":                          "mode active-backup miimon 100 updelay 200 downdelay 300 fail_over_mac active",
		"bond=b:eth0:mode=1,peer_notif_delay=300000,num_grat_arp=255,use_carrier=off":                      "mode active-backup miimon 100 peer_notify_delay 300000 use_carrier 0 num_grat_arp 255",
		"bond=b:eth0:mode=1,peer_notify_delay=100,num_unsol_na=0,use_carrier=1,all_slaves_active=0":        "mode active-backup miimon 100 peer_notify_delay 100 use_carrier 1 num_grat_arp 0 all_slaves_active 0",
		"bond=b:eth0:mode=1,num_peer_notif=3,fail_over_mac=follow,primary=eth0,primary_reselect=2":         "mode active-backup miimon 100 primary_reselect failure fail_over_mac follow num_grat_arp 3",
		"bond=b:eth0:mode=1,arp_interval=500,arp_ip_target=10.0.0.1,10.0.0.2;10.0.0.3,arp_validate=backup": "mode active-backup arp_interval 500 arp_ip_target 10.0.0.1,10.0.0.2,10.0.0.3 arp_validate backup",
		"bond=b:eth0:mode=1,miimon=0,arp_interval=500,arp_ip_target=10.0.0.1,arp_ip_target=10.0.0.2":       "mode active-backup miimon 0 arp_interval 500 arp_ip_target 10.0.0.1,10.0.0.2",
		"bond=b:eth0:mode=1,arp_interval=1,arp_ip_target=10.0.0.1,arp_all_targets=all,arp_missed_max=255":  "mode active-backup arp_interval 1 arp_ip_target 10.0.0.1 arp_all_targets all arp_missed_max 255",
		"bond=b:eth0:mode=2,arp_interval=1,ns_ip6_target=[2001:db8::1];[fe80::2],arp_validate=filter":      "mode balance-xor arp_interval 1 ns_ip6_target 2001:db8::1,fe80::2 arp_validate filter",
		"bond=b:eth0:mode=2,xmit_hash_policy=layer2+3":                                                     "mode balance-xor miimon 100 xmit_hash_policy layer2+3",
		"bond=b:eth0:mode=2,xmit_hash_policy=1":                                                            "mode balance-xor miimon 100 xmit_hash_policy layer3+4",
		"bond=b:eth0:mode=4,lacp_rate=fast,xmit_hash_policy=vlan+srcmac,min_links=2,ad_select=bandwidth":   "mode 802.3ad miimon 100 xmit_hash_policy vlan+srcmac min_links 2 lacp_rate fast ad_select bandwidth",
		"bond=b:eth0:mode=4,lacp_rate=0,lacp_active=0,ad_select=2,xmit_hash_policy=encap3+4":               "mode 802.3ad miimon 100 xmit_hash_policy encap3+4 lacp_rate slow lacp_active off ad_select count",
		"bond=b:eth0:mode=4,ad_user_port_key=1023,ad_actor_sys_prio=1,ad_actor_system=02-00-00-00-00-0A":   "mode 802.3ad miimon 100 ad_user_port_key 1023 ad_actor_sys_prio 1 ad_actor_system 02:00:00:00:00:0a",
		"bond=b:eth0:mode=4,broadcast_neighbor=1,lacp_strict=on":                                           "mode 802.3ad miimon 100 broadcast_neighbor on lacp_strict on",
		"bond=b:eth0:arp_interval=0": "mode balance-rr miimon 100",
		"bond=b:eth0:mode=4,arp_interval=0,miimon=50,primary=,arp_validate=none,arp_missed_max=2":            "mode 802.3ad miimon 50",
		"bond=b:eth0:mode=1,arp_interval=9,arp_ip_target=10.0.0.1,updelay=0,downdelay=0,use_carrier=1":       "mode active-backup arp_interval 9 arp_ip_target 10.0.0.1",
		"bond=b:eth0:mode=1,primary_reselect=always,active_slave=":                                           "mode active-backup miimon 100",
		"bond=b:eth0:mode=4,coupled_control=off":                                                             "mode 802.3ad miimon 100 coupled_control off",
		"bond=b:eth0:mode=5,tlb_dynamic_lb=0,lp_interval=2147483647,xmit_hash_policy=encap2+3,resend_igmp=0": "mode balance-tlb miimon 100 xmit_hash_policy encap2+3 resend_igmp 0 lp_interval 2147483647 tlb_dynamic_lb 0",
		"bond=b:eth0:mode=6,tlb_dynamic_lb=on,lp_interval=1,primary=eth0,active_port=eth0":                   "mode balance-alb miimon 100 lp_interval 1 tlb_dynamic_lb 1",
	}
}

func TestBondOptions(t *testing.T) {
	lines := bondLines()
	// Kernels before 6.18 refuse the number.
	lines["bond=b:eth0:mode=4,ad_select=3"] = "mode 802.3ad miimon 100 ad_select actor_port_prio"
	for line, want := range lines {
		t.Run(line, func(t *testing.T) {
			got, _ := strings.CutPrefix(BondAdd(parseLine(t, line).Bonds[0]).String(), "ip link add b type bond ")
			got = strings.TrimPrefix(got, "ip link add bond0 type bond ")
			if got != want {
				t.Errorf("\ngot  %s\nwant %s", got, want)
			}
		})
	}
}

// The table has every attribute that the kernel has.
func TestBondTable(t *testing.T) {
	attrs := map[uint8]string{}
	for _, o := range bondTable() {
		if other := attrs[o.attr]; other != "" || o.attr == 0 || o.kind == 0 || o.modes == 0 {
			t.Errorf("%s: attribute %d is that of %q, kind %d, modes %b", o.name, o.attr, other, o.kind, o.modes)
		}
		attrs[o.attr] = o.name
		if o.needs != "" && findBondOption(bondTable(), o.needs) < 0 {
			t.Errorf("%s needs %s, which is no option", o.name, o.needs)
		}
		// What an error tells to write is right itself.
		if _, ok := o.read(o.example()); !ok && !o.list() {
			t.Errorf("%s: the example %s cannot be read", o.name, o.example())
		}
	}
	// IFLA_BOND_AD_INFO is told by the kernel only.
	for attr := uint8(1); attr <= 34; attr++ {
		if attrs[attr] == "" && attr != 23 {
			t.Errorf("attribute %d of include/uapi/linux/if_link.h is not in the table", attr)
		}
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
	want := []Bond{
		{
			Name: "bond0", Ports: []PortMatch{{Name: "eth0"}, {Addr: macB}, {Driver: "mlx5*"}, {Name: "en?"}}, MTU: 9000,
			Options: []BondOption{{"mode", "active-backup"}, {"miimon", "100"}, {"primary", "eth0"}},
		},
		{Name: "bond1", Ports: []PortMatch{{Name: "ib0"}, {Addr: guideAddr[12:]}}, Options: []BondOption{{"mode", "active-backup"}, {"miimon", "100"}}},
		{Name: "ibft", Ports: []PortMatch{{Name: "ibft0"}, {Name: "ibft1"}}, Options: []BondOption{{"mode", "balance-rr"}, {"miimon", "100"}}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The text of an option is what it is read from, and fits its attribute.
func FuzzBondOption(f *testing.F) {
	for i, o := range bondTable() {
		f.Add(i, o.example())
		f.Add(i, o.words)
	}
	f.Add(6, "[2001:db8::1")
	f.Add(1, "99999999999999999999")
	f.Fuzz(func(t *testing.T, i int, s string) {
		table := bondTable()
		if i < 0 || i >= len(table) {
			return
		}
		o := table[i]
		text, ok := o.read(s)
		if !ok {
			return
		}
		if again, ok := o.read(text); !ok && o.kind != bondPort || again != text {
			t.Fatalf("%s=%q is %q, which is %q, %v", o.name, s, text, again, ok)
		}
		if v, ok := o.number(text); o.size > 0 && (!ok || v < 0 || uint64(v) >= 1<<(8*o.size)) {
			t.Fatalf("%s=%q is the number %d (%v) in %d bytes", o.name, s, v, ok, o.size)
		}
	})
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
		got, _ := strings.CutPrefix(BondAdd(c.Bonds[0]).String(), "ip link add b type bond ")
		if got += ": " + strings.Join(c.Warnings(), "; "); got != want {
			t.Errorf("%s:\n got %s\nwant %s", options, got, want)
		}
	}
}
