package netsetup

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/netsetup/link"
)

// decode reads a link as the library does, which has its own idea of the
// attributes.
func decode(t *testing.T, attrs ...*nl.RtAttr) netlink.Link {
	t.Helper()
	b := nl.NewIfInfomsg(unix.AF_UNSPEC).Serialize()
	for _, a := range append(attrs, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated("x"))) {
		b = append(b, a.Serialize()...)
	}
	link, err := netlink.LinkDeserialize(nil, b)
	if err != nil {
		t.Fatal(err)
	}
	return link
}

// The message of a bond is what the library reads as that bond.
func TestBondInfo(t *testing.T) {
	for name, tt := range map[string]struct {
		options string
		want    func(b *netlink.Bond)
	}{
		"default": {"", func(b *netlink.Bond) { b.Mode = netlink.BOND_MODE_BALANCE_RR }},
		"MII": {"mode=1,miimon=50,updelay=200,downdelay=70000,use_carrier=0,primary=eth0,primary_reselect=2,fail_over_mac=follow,resend_igmp=200,num_grat_arp=3,all_slaves_active=1", func(b *netlink.Bond) {
			b.Mode, b.Miimon, b.UpDelay, b.DownDelay, b.UseCarrier = netlink.BOND_MODE_ACTIVE_BACKUP, 50, 200, 70000, 0
			b.PrimaryReselect, b.FailOverMac = netlink.BOND_PRIMARY_RESELECT_FAILURE, netlink.BOND_FAIL_OVER_MAC_FOLLOW
			b.ResendIgmp, b.NumPeerNotif, b.AllSlavesActive = 200, 3, 1
		}},
		"ARP": {"mode=1,arp_interval=500,arp_ip_target=10.0.0.1;10.0.0.2,arp_validate=all,arp_all_targets=all", func(b *netlink.Bond) {
			b.Mode, b.Miimon, b.ArpInterval, b.ArpValidate, b.ArpAllTargets = netlink.BOND_MODE_ACTIVE_BACKUP, 0, 500, netlink.BOND_ARP_VALIDATE_ALL, netlink.BOND_ARP_ALL_TARGETS_ALL
			b.ArpIpTargets = []net.IP{net.IPv4(10, 0, 0, 1).To4(), net.IPv4(10, 0, 0, 2).To4()}
		}},
		"LACP": {"mode=4,lacp_rate=fast,ad_select=count,min_links=2,xmit_hash_policy=layer3+4,ad_user_port_key=1023,ad_actor_sys_prio=65535,ad_actor_system=02-00-00-00-00-0a", func(b *netlink.Bond) {
			b.Mode, b.LacpRate, b.AdSelect, b.MinLinks, b.XmitHashPolicy = netlink.BOND_MODE_802_3AD, netlink.BOND_LACP_RATE_FAST, netlink.BOND_AD_SELECT_COUNT, 2, netlink.BOND_XMIT_HASH_POLICY_LAYER3_4
			b.AdUserPortKey, b.AdActorSysPrio, b.AdActorSystem = 1023, 65535, net.HardwareAddr{2, 0, 0, 0, 0, 10}
		}},
		"round robin": {"packets_per_slave=65535", func(b *netlink.Bond) { b.Mode, b.PacketsPerSlave = netlink.BOND_MODE_BALANCE_RR, 65535 }},
		"TLB":         {"mode=5,tlb_dynamic_lb=0,lp_interval=100000", func(b *netlink.Bond) { b.Mode, b.TlbDynamicLb, b.LpInterval = netlink.BOND_MODE_BALANCE_TLB, 0, 100000 }},
	} {
		t.Run(name, func(t *testing.T) {
			want := &netlink.Bond{Miimon: 100}
			tt.want(want)
			got := decode(t, link.Info("bond", link.BondData(parseLine(t, "bond=x:eth0:"+tt.options).Bonds[0].Options)))
			if diff := cmp.Diff(want, got, cmpopts.IgnoreTypes(netlink.LinkAttrs{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Every attribute has the number and size of the table; the library does not
// know the newer ones.
func TestBondInfoRaw(t *testing.T) {
	for options, want := range map[string]map[uint16]string{
		"mode=1,peer_notif_delay=300": {28: "\x2c\x01\x00\x00"},
		"mode=1,arp_interval=9,arp_missed_max=7,ns_ip6_target=[2001:db8::1];[fe80::2]": {30: "\x07", 31: "\x14\x00\x00\x00\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01" +
			"\x14\x00\x01\x00\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"},
		"mode=4,lacp_active=0,coupled_control=0":                {29: "\x00", 32: "\x00"},
		"mode=4,broadcast_neighbor=1,ad_select=3,lacp_strict=1": {22: "\x03", 33: "\x01", 34: "\x01"},
	} {
		info, err := nl.ParseRouteAttr(link.Info("bond", link.BondData(parseLine(t, "bond=x:eth0:"+options).Bonds[0].Options)).Serialize()[unix.SizeofRtAttr:])
		if err != nil {
			t.Fatal(err)
		}
		data, err := nl.ParseRouteAttr(info[1].Value)
		if err != nil {
			t.Fatal(err)
		}
		got := map[uint16]string{}
		for _, a := range data {
			if _, ok := want[a.Attr.Type]; ok {
				got[a.Attr.Type] = string(a.Value)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", options, diff)
		}
	}
}
