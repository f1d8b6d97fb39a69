package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What the command adds to package pxe: the judgement of /init, the files that
// are missing, and what it says.
func TestPXE(t *testing.T) {
	const text = `
defaults: { image: node.img, cmdline: "root=dhcp rd.net.timout.dhcp=9" }
subnets: [ { cidr: 10.0.0.0/24 } ]
nodes: [ { name: node7, mac: 52:54:00:77:0a:07, ip: 10.0.0.7 } ]
`
	dir := t.TempDir()
	out, nodes := filepath.Join(dir, "tftp"), filepath.Join(dir, "nodes.yaml")
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write(nodes, text)
	run := func(status int, wants ...string) {
		t.Helper()
		got, stdout, stderr := nodisk("pxe", "--nodes", nodes, "--out", out)
		for _, want := range wants {
			if !strings.Contains(stdout+stderr, want) {
				t.Errorf("no %q in:\n%s%s", want, stdout, stderr)
			}
		}
		if got != status {
			t.Errorf("status %d, want %d:\n%s", got, status, stderr)
		}
	}
	run(0, "wrote   pxelinux.cfg/0A000007\n", "wrote   dhcp/kea-dhcp4.conf\n",
		"node7: command line: rd.net.timout.dhcp: unknown key, did you mean rd.net.timeout.dhcp?",
		"not in "+out+" yet: node.img, pxelinux.0, vmlinuz: put them there")
	conf, err := os.ReadFile(filepath.Join(out, "dhcp", "dnsmasq.conf"))
	if err != nil || !strings.Contains(string(conf), "tftp-root="+out+"\n") {
		t.Errorf("dnsmasq.conf does not name %s: %v\n%s", out, err, conf)
	}
	run(0, "0 written, 0 removed, ")
	write(nodes, strings.Replace(text, "node7, ", "node8, ", 1))
	run(0, "removed ipxe/node7.ipxe\n", "wrote   ipxe/node8.ipxe\n")
	write(filepath.Join(out, "pxelinux.cfg", "0A000007"), "by hand")
	run(exitFailed, "write pxelinux.cfg/0A000007: ", "--force")
	// What only /init can know is wrong is told with the line it comes from.
	write(nodes, strings.Replace(text, "root=dhcp", "root=nfs:: ip=:::::::bogus", 1))
	run(exitFailed, nodes+" has mistakes:\n"+nodes+":4:10: ", "nodes.yaml:4:10: node node7 (and 2 more): command "+
		"line: root=nfs", "nodes.yaml:4:10: node node7 (and 2 more): command line: ip=")
	write(nodes, strings.Replace(text, "subnets", "subnet", 1))
	run(exitFailed, `nodes.yaml:3:1: the file: unknown key "subnet", did you mean subnets?`)
}

// The words that docs/infiniband.md has for one port are written once for all nodes, with {guid} or {mac}: where colons
// divide the fields the addresses have dashes. What is wrong all the same is told of the placeholder, once for all
// nodes.
func TestPXEAddressPlaceholders(t *testing.T) {
	const nodesText = `
defaults: { image: node.img, cmdline: "root=dhcp" }
subnets: [ { cidr: 10.0.0.0/24, gateway: 10.0.0.1 } ]
nodes:
- { name: a, PORTa, ip: 10.0.0.7 }
- { name: b, PORTb, ip: 10.0.0.8 }
`
	guids := strings.NewReplacer("PORTa", "guid: 00:02:c9:03:00:00:10:39", "PORTb",
		"guid: 00:02:c9:03:00:00:10:49").Replace(nodesText)
	macs := strings.NewReplacer("PORTa", "mac: 52:54:00:77:0a:07", "PORTb", "mac: 52:54:00:77:0a:08").Replace(nodesText)
	dir := t.TempDir()
	for name, tt := range map[string]struct{ nodes, words, want, refused string }{
		"ip":        {guids, "ip={guid}:dhcp", "ip=00-02-c9-03-00-00-10-39:dhcp", ""},
		"six bytes": {guids, "ip={mac}:dhcp", "ip=00-02-c9-00-10-39:dhcp", ""},
		"Ethernet":  {macs, "ip={mac}:dhcp:1500", "ip=52-54-00-77-0a-07:dhcp:1500", ""},
		"fixed": {guids, "ip={ip}::{gateway}:{mask}:{name}:{guid}:none root=nfs4:10.0.0.1:/x",
			"ip=10.0.0.7::10.0.0.1:255.255.255.0:a:00-02-c9-03-00-00-10-39:none", ""},
		"bond": {macs, "bond=bond0:{mac},eth1:mode=active-backup ip=bond0:dhcp",
			"bond=bond0:52-54-00-77-0a-07,eth1:mode=active-backup", ""},
		"vlan":   {macs, "vlan=vlan5:{mac} ip=vlan5:dhcp", "vlan=vlan5:52-54-00-77-0a-07", ""},
		"bridge": {macs, "bridge=br0:{mac},eth1 ip=br0:dhcp", "bridge=br0:52-54-00-77-0a-07,eth1", ""},
		"route": {guids, "ip={guid}:dhcp rd.route=10.1.0.0/16:10.0.0.1:{guid}",
			"rd.route=10.1.0.0/16:10.0.0.1:00-02-c9-03-00-00-10-39", ""},
		"identifier": {macs, "ip={mac}:dhcp rd.net.dhcp.client_id={mac}:01-{mac}",
			"rd.net.dhcp.client_id=52-54-00-77-0a-07:01-52-54-00-77-0a-07", ""},
		"tail":        {macs, "ip=eth0:dhcp:1500:{mac}", "ip=eth0:dhcp:1500:52-54-00-77-0a-07", ""},
		"name":        {guids, "ifname=fabric:{guid} ip=fabric:dhcp", "ifname=fabric:00:02:c9:03:00:00:10:39", ""},
		"port":        {guids, "ip=dhcp nodisk.ib.port={guid}", "nodisk.ib.port=00:02:c9:03:00:00:10:39", ""},
		"firmware's":  {guids, "ip=dhcp BOOTIF=20-{guid}", "BOOTIF=20-00:02:c9:03:00:00:10:39", ""},
		"boot device": {guids, "ip={guid}:dhcp bootdev={guid}", "bootdev=00:02:c9:03:00:00:10:39", ""},
		"an initiator": {macs, "rd.iscsi.initiator=iqn.2026-01.example:{mac}",
			"rd.iscsi.initiator=iqn.2026-01.example:52:54:00:77:0a:07", ""},
		"refused": {guids, "ip={guid}:dchp", "", "nodes.yaml:5:3: node a (and 1 more): command line: " +
			"ip={guid}:dchp: "},
		"a partition": {guids, "ip=dhcp ib.pkey={guid}.8001", "",
			"node a (and 1 more): command line: ib.pkey={guid}.8001: "},
	} {
		t.Run(name, func(t *testing.T) {
			out := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
			if err := os.Mkdir(out, 0o700); err != nil {
				t.Fatal(err)
			}
			nodes := filepath.Join(out, "nodes.yaml")
			text := strings.Replace(tt.nodes, "root=dhcp", "root=dhcp "+tt.words, 1)
			if strings.Contains(tt.words, "root=") {
				text = strings.Replace(tt.nodes, "root=dhcp", tt.words, 1)
			}
			if err := os.WriteFile(nodes, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			status, _, stderr := nodisk("pxe", "--nodes", nodes, "--out", out)
			if tt.refused != "" {
				if status != exitFailed || !strings.Contains(stderr, tt.refused) || strings.Contains(stderr, "10-39") ||
					strings.Contains(stderr, "10:39") {
					t.Errorf("status %d: %s; want %q", status, stderr, tt.refused)
				}
				return
			}
			if status != 0 {
				t.Fatalf("status %d: %s", status, stderr)
			}
			if conf := string(fileBytes(t, filepath.Join(out, "pxelinux.cfg", "0A000007"))); !strings.Contains(conf,
				" "+tt.want+" ") && !strings.Contains(conf, " "+tt.want+"\n") {
				t.Errorf("no %q in:\n%s", tt.want, conf)
			}
		})
	}
}
