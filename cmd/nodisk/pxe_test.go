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
	run(exitFailed, nodes+" has mistakes:\n"+nodes+":4:10: ", "nodes.yaml:4:10: node node7 (and 2 more): command line: root=nfs", "nodes.yaml:4:10: node node7 (and 2 more): command line: ip=")
	write(nodes, strings.Replace(text, "subnets", "subnet", 1))
	run(exitFailed, `nodes.yaml:3:1: the file: unknown key "subnet", did you mean subnets?`)
}
