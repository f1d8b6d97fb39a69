package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A warning where the words do not lead to a server of the root, and none where
// somebody is asked who may know.
func TestAstray(t *testing.T) {
	const (
		none   = ""
		six    = "has an address of IPv6, and no ip= is about IPv6: add ip=DEVICE:auto6"
		four   = "has an address of IPv4, and no ip= is about IPv4: add ip=DEVICE:dhcp"
		way    = "nothing leads to the root's server"
		target = " netroot=iscsi:10.1.0.1::::iqn.2026-01.test:a root=LABEL=a"
	)
	for line, want := range map[string]string{
		"root=nfs:10.1.0.1:/srv":                                                       none,
		"ip=dhcp root=nfs:nas.example:/srv":                                            none,
		"ip=dhcp root=nfs:/srv":                                                        none,
		"ip=dhcp root=nfs:[2001:db8::1]:/srv":                                          six,
		"ip=dhcp root=nfs:[fe80::1%eth0]:/srv":                                         none,
		"ip=auto6 root=nfs:10.1.0.1:/srv":                                              four,
		"ip=dhcp6 ip=dhcp root=nfs:[2001:db8::1]:/srv":                                 none,
		"ip=link6 root=nfs:[2001:db8::1]:/srv":                                         way,
		"ip=ibft" + target:                                                             none,
		"ip=rarp" + target:                                                             none,
		"ip=10.0.0.5:::24" + target:                                                    way,
		"ip=10.0.0.5::10.0.0.1:24" + target:                                            none,
		"ip=10.0.0.5:10.1.0.1/32::24::eth0:none" + target:                              none,
		"ip=10.0.0.5:::8" + target:                                                     none,
		"ip=10.0.0.5:::24 rd.route=10.1.0.0/16:10.0.0.1" + target:                      none,
		"ip=10.0.0.5:::24 netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a" + target:       none, // a portal of the same
		"ip=10.0.0.5:::24 netroot=iscsi:10.0.0.1::::iqn.2026-01.test:b" + target:       way,
		"ip=10.0.0.5:::24 root=nfs:127.0.0.1:/srv":                                     none,
		"ip=10.0.0.5:::24 nodisk.chain=/init.vendor root=nfs:10.1.0.1:/srv":            none,
		"ip=[2001:db8::5]:::64::eth0:none root=nfs:[2001:db8::1]:/srv":                 none,
		"ip=[2001:db8::5]:::64::eth0:none root=nfs:[2001:db9::1]:/srv":                 way,
		"ip=10.0.0.5:::24::eth0:none ip=10.1.0.5:::24::eth0:none root=nfs:10.1.0.1:/a": none,
	} {
		p, err := New(cmdline.Parse(line), nil)
		got := strings.Join(p.Warnings, "; ")
		if err != nil || (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v, want %q", line, got, err, want)
		}
	}
}

// A warning where a server is known by a name of which nothing says the address.
func TestUnresolved(t *testing.T) {
	const (
		none   = ""
		nobody = "nothing resolves the root's server nas"
		static = "ip=10.0.0.5:::24::eth0:none "
		target = "root=LABEL=a netroot=iscsi:nas::::iqn.2026-01.test:a "
	)
	var nothing Names
	known := Names{Hosts: map[string][]netip.Addr{
		"nas": {netip.MustParseAddr("10.9.0.1"), netip.MustParseAddr("10.0.0.1")}, "far": {netip.MustParseAddr("10.9.0.1")},
	}, Servers: []netip.Addr{netip.MustParseAddr("10.0.0.53")}}
	for _, tt := range []struct {
		line  string
		names Names
		want  string
	}{
		{"root=nas:/srv " + static, nothing, nobody + ": write nameserver= or its address"},
		{target + static, nothing, nobody},
		{"root=nas:/srv ip=dhcp", nothing, none},
		{"root=nas:/srv", nothing, none},
		{"root=nas:/srv ip=ibft rd.peerdns=0", nothing, none},
		{"root=nas:/srv ip=auto6", nothing, none},
		{"root=nas:/srv ip=link6", nothing, nobody},
		{"root=nas:/srv ip=rarp", nothing, nobody},
		{"root=nas:/srv ip=dhcp rd.peerdns=0", nothing, nobody + ", because rd.peerdns=0"},
		{"root=nas:/srv ip=dhcp rd.peerdns=0 nameserver=10.0.0.53", nothing, none},
		{"root=nas:/srv ip=eth1:dhcp " + static, nothing, none},
		{"root=nas:/srv nameserver=10.0.0.53 " + static, nothing, none},
		{"root=nas:/srv ip=10.0.0.5:::24::eth0:none:10.0.0.53", nothing, none},
		{"root=nas:/srv nameserver=8.8.8.8 " + static, nothing, "nothing leads to the name server that is to know the root's server nas, 8.8.8.8: write the gateway"},
		{"root=nas:/srv nameserver=8.8.8.8 nameserver=10.0.0.53 " + static, nothing, none},
		{"root=nas:/srv nameserver=2001:db8::53 " + static, nothing, "has an address of IPv6, and no ip= is about IPv6"},
		{"root=NAS:/srv " + static, Names{Hosts: known.Hosts}, none},
		{"root=far:/srv " + static, known, "nothing leads to the root's server far, 10.9.0.1: write the gateway"},
		{"root=other:/srv " + static, Names{Servers: known.Servers}, none},
		{target + "netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a " + static, nothing, none}, // a portal of the same
		{target + "netroot=iscsi:10.0.0.1::::iqn.2026-01.test:b " + static, nothing, nobody},
		{"root=nas:/srv nodisk.chain=/init.vendor " + static, nothing, none},
		{"root=LABEL=a", nothing, none},
		{"root=10.0.0.1:/srv " + static, nothing, none},
	} {
		p, err := New(cmdline.Parse(tt.line), nil)
		got := strings.Join(p.Unresolved(tt.names), "; ")
		if err != nil || (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, %v, want %q", tt.line, got, err, tt.want)
		}
	}
}

func TestReadNames(t *testing.T) {
	n, err := ReadNames(fstest.MapFS{
		"etc/hosts":       {Data: []byte("10.0.0.1 NAS nas.example\n")},
		"etc/resolv.conf": {Data: []byte("# by hand\nsearch a\nnameserver 10.0.0.53\nnameserver\tfe80::1%eth0 \nnameserver nobody\nnameserver\n")},
	})
	want := "map[nas:[10.0.0.1] nas.example:[10.0.0.1]] [10.0.0.53 fe80::1%eth0]"
	if got := fmt.Sprint(n.Hosts, n.Servers); err != nil || got != want {
		t.Errorf("%s, %v, want %s", got, err, want)
	}
	if n, err := ReadNames(fstest.MapFS{}); err != nil || n.Hosts != nil || n.Servers != nil {
		t.Errorf("nothing there: %v, %v", n, err)
	}
	if _, err := ReadNames(fstest.MapFS{"etc/hosts/x": {}}); err == nil {
		t.Error("a directory in the place of etc/hosts")
	}
}
