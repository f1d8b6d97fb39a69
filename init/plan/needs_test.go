package plan

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/lease"
)

func TestParseResolvConf(t *testing.T) {
	got, err := parseResolvConf(strings.NewReader("# ours\nsearch example.org\nnameserver 10.9.0.53\n nameserver\t2001:db8::53 # x\n;nameserver 10.9.0.54\nnameserver\nnameserver nas\nnameserver fe80::1%eth0\n"))
	if want := "[10.9.0.53 2001:db8::53 fe80::1%eth0]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("%v, %v", got, err)
	}
}

// What each root asks of the network, and which root path it takes.
func TestNeeds(t *testing.T) {
	names, err := parseHosts(strings.NewReader("127.0.0.1 localhost\n# no\n10.9.0.1\tTGT.example tgt # the target\nrubbish x\n2001:db8::1 tgt\n"))
	if err != nil {
		t.Fatal(err)
	}
	for line, want := range map[string]string{
		"root=dhcp":                                 "root path",
		"root=LABEL=a netroot=dhcp":                 "root path of iscsi:",
		"root=/dev/nfs ip=dhcp":                     "root path",
		"root=nfs:10.0.0.1:/srv":                    "10.0.0.1",
		"root=nfs:nas.example:/srv":                 "nas.example",
		"root=nfs:/srv":                             "", // DHCP's server
		"root=nfs:[2001:db8::5]:/srv":               "2001:db8::5",
		"root=nfs:TGT:/srv":                         "10.9.0.1 2001:db8::1",
		"root=/dev/ram0 rd.neednet=1":               "",
		"root=iscsi:10.0.0.1::::iqn.2026-01.test:a": "10.0.0.1",
		"root=iscsi:::::iqn.2026-01.test:a":         "",
		"root=LABEL=a netroot=iscsi:192.168.51.1::::iqn.2026-01.test:a netroot=iscsi:192.168.50.1::::iqn.2026-01.test:b": "192.168.51.1 192.168.50.1",
		"root=LABEL=a netroot=iscsi:10.0.0.1:6:3260:iface:eth1:1:iqn.2026-01.test:a":                                     "10.0.0.1 by eth1",
		"root=nfs:10.0.0.1:/srv nodisk.chain=/init.vendor":                                                               "",
	} {
		p, err := New(cmdline.Parse(line), nil)
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		n := p.Needs(nil, Names{Hosts: names})
		var got []string
		if n.RootPath != nil {
			text := "root path"
			if n.RootPath("10.0.0.1:/srv") != nil {
				text += " of iscsi:"
			}
			if n.RootPath("") == nil || n.RootPath("nbd:10.0.0.1:x") == nil {
				t.Errorf("%s: takes any root path", line)
			}
			got = append(got, text)
		}
		for _, h := range n.Hosts {
			got = append(got, h.String())
		}
		if diff := cmp.Diff(want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", line, diff)
		}
	}
	if diff := cmp.Diff(fmt.Sprint([]netip.Addr{netip.MustParseAddr("10.9.0.1")}), fmt.Sprint(names["tgt.example"])); diff != "" {
		t.Error(diff)
	}
	p, err := New(cmdline.Parse("root=ibft"), nil)
	firmwares := []iscsi.Target{{Portal: iscsi.Portal{Host: "10.0.0.9"}, Name: "iqn.2026-01.test:f"}}
	if n := p.Needs(firmwares, Names{}); err != nil || len(n.Hosts) != 1 || n.Hosts[0].String() != "10.0.0.9" {
		t.Errorf("%+v, %v", n, err)
	}
}

// What a lease names: the server of its root path, else the boot server.
func TestNeedsByLease(t *testing.T) {
	lease := lease.Lease{Server: netip.MustParseAddr("10.88.0.1"), NextServer: netip.MustParseAddr("10.77.0.5")}
	for _, tt := range []struct{ line, rootPath, want string }{
		{"root=dhcp", "iscsi:10.77.0.1::::iqn.2026-01.test:a", "10.77.0.1"},
		{"root=dhcp", "iscsi:tgt.example::::iqn.2026-01.test:a", "10.9.0.1"},
		{"root=dhcp", "iscsi:other.example::::iqn.2026-01.test:a", "other.example"},
		{"root=dhcp", "iscsi:10.77.0.1", ""}, // not a root path
		{"root=dhcp", "10.77.0.1:/srv", "10.77.0.1"},
		{"root=dhcp", "/srv", "10.77.0.5"},
		{"root=LABEL=a netroot=dhcp", "iscsi:[2001:db8::1]::::iqn.2026-01.test:a", "2001:db8::1"},
		{"root=/dev/nfs nfsroot=/srv", "", "10.77.0.5"},
		{"root=nfs:/srv", "", "10.77.0.5"},
		{"root=LABEL=a netroot=iscsi:::::iqn.2026-01.test:a", "", "10.77.0.5"},
		{"root=nfs:10.0.0.1:/srv", "iscsi:10.77.0.1::::iqn.2026-01.test:a", "10.0.0.1"},
		{"root=/dev/ram0 rd.neednet=1", "", ""},
	} {
		p, err := New(cmdline.Parse(tt.line), nil)
		if err != nil {
			t.Fatal(err)
		}
		lease.RootPath = tt.rootPath
		var got []string
		for _, h := range p.Needs(nil, Names{Hosts: map[string][]netip.Addr{"tgt.example": {netip.MustParseAddr("10.9.0.1")}}}).ByLease(netsetup.State{Lease: &lease}) {
			got = append(got, h.String())
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%s, %s: %q, want %q", tt.line, tt.rootPath, text, tt.want)
		}
	}
}
