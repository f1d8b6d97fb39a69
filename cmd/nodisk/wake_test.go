package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/pxe"
)

const sleepers = `
subnets: [ { cidr: 10.0.0.0/24 } ]
groups:
  storage: { wake: { order: -1, password: 192.168.1.1 } }
  spare: { wake: false }
nodes:
- { name: node1, mac: 52:54:00:00:00:01, ip: 10.0.0.1 }
- { name: node2, mac: 525400000002, ip: 10.0.0.2 }
- { name: node3, mac: 5254.0000.0003, wake: { order: -2 } }
- { name: disk1, mac: 52:54:00:00:00:04, ip: 10.0.0.4, group: storage }
- { name: old1, mac: 52:54:00:00:00:05, group: spare }
- { name: ib1, guid: 00:02:c9:03:00:00:10:39, ip: 10.0.0.6 }
- { name: ib2, guid: 00:02:c9:03:00:00:10:40, ip: 10.0.0.7, wake: { mac: 52:54:00:00:00:07 } }
`

// Who is woken, in which order, where to, and what cannot be.
func TestWakeTargets(t *testing.T) {
	nodes := filepath.Join(t.TempDir(), "nodes.yaml")
	if err := os.WriteFile(nodes, []byte(sleepers), 0o600); err != nil {
		t.Fatal(err)
	}
	const noIB = ": node ib1 boots from InfiniBand, and no InfiniBand port is woken by a magic packet: write wake: { " +
		"mac: ... } with the address of an Ethernet port of it, or wake: false\n"
	for name, tt := range map[string]struct {
		args, out, err string
		status         int
	}{
		"all": {args: "--all", out: "after 0s  node3  52:54:00:00:00:03  255.255.255.255:9\n" +
			"after 2s  disk1  52:54:00:00:00:04  10.0.0.255:9\n" +
			"after 4s  node1  52:54:00:00:00:01  10.0.0.255:9\n" +
			"after 6s  node2  52:54:00:00:00:02  10.0.0.255:9\n" +
			"after 8s  ib2  52:54:00:00:00:07  10.0.0.255:9\n" +
			"5 would be woken; nothing was sent\n", err: "nodisk: warning: " + nodes + ":12:3" + noIB},
		"by name, from": {
			args: "node2 NODE1 old1 --from node2 --to 10.9.0.255 --interval 1s --batch 2",
			out: "after 0s  node2  52:54:00:00:00:02  10.9.0.255:9\nafter 0s  old1  52:54:00:00:00:05  " +
				"10.9.0.255:9\n2 would be woken; nothing was sent\n",
		},
		"a group": {args: "--group storage --interface eth1", out: "after 0s  disk1  52:54:00:00:00:04\n1 would " +
			"be woken; nothing was sent\n"},
		"InfiniBand": {args: "ib1", err: "nodisk: wake: " + nodes + ":12:3" + noIB, status: exitFailed},
		"unknown": {args: "node9 --group x", err: "nodisk: wake: there is no group \"x\" in " + nodes +
			"\nthere is no node \"node9\" in " + nodes + "\n", status: exitFailed},
		"nobody": {args: "", err: "nodisk: wake: nobody to wake: give names of nodes or MACs, --group " +
			"NAME, or --all\n", status: exitUsage},
		"no cable": {args: "--all --via ethernet", err: "nodisk: wake: --via ethernet needs --interface: the one " +
			"that leads to the nodes\n", status: exitUsage},
		"a MAC": {args: "0x525400000009", out: "after 0s  52:54:00:00:00:09  255.255.255.255:9\n1 would be " +
			"woken; nothing was sent\n"},
		"nobody left": {args: "--group spare", err: "nodisk: wake: nobody to wake: no node is left of those that " +
			"were asked for\n", status: exitFailed},
	} {
		t.Run(name, func(t *testing.T) {
			args := append([]string{"wake", "--dry-run", "--nodes", nodes}, strings.Fields(tt.args)...)
			status, out, stderr := nodisk(args...)
			if status != tt.status || out != tt.out || stderr != tt.err {
				t.Errorf("status %d\n%s%s\nwant %d\n%s%s", status, out, stderr, tt.status, tt.out, tt.err)
			}
		})
	}
}

// Datagrams arrive, in order, with the password of the group.
func TestWakeSends(t *testing.T) {
	nodes := filepath.Join(t.TempDir(), "nodes.yaml")
	if err := os.WriteFile(nodes, []byte(sleepers), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close() //nolint:errcheck // nothing was written
	status, out, stderr := nodisk("wake", "--nodes", nodes, "--to", c.LocalAddr().String(), "--interval", "0s",
		"--repeat", "1", "node2", "disk1")
	if status != 0 || !strings.Contains(out, "woken 1/2  disk1  52:54:00:00:00:04  "+c.LocalAddr().String()+
		"  by UDP\nwoken 2/2  node2  ") {
		t.Fatalf("status %d\n%s%s", status, out, stderr)
	}
	for _, want := range []struct {
		mac      byte
		password []byte
	}{{4, []byte{192, 168, 1, 1}}, {2, nil}} {
		b := make([]byte, 2048)
		if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		n, err := c.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		packet := append(bytes.Repeat([]byte{0xff}, 6), bytes.Repeat([]byte{0x52, 0x54, 0, 0, 0, want.mac}, 16)...)
		if packet = append(packet, want.password...); !bytes.Equal(b[:n], packet) {
			t.Errorf("% x\nwant % x", b[:n], packet)
		}
	}
	// What cannot be sent: how many were woken, and the command for the rest.
	status, _, stderr = nodisk("wake", "--nodes", nodes, "--interface", "nosuch0", "--all")
	if status != exitFailed || !strings.Contains(stderr, `interface "nosuch0": there is none of that name`) {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// The example is one that works: without warnings but for the files that are
// not there.
func TestPXEExample(t *testing.T) {
	status, out, _ := nodisk("pxe", "--example")
	if status != 0 || out != pxe.Example {
		t.Fatalf("status %d\n%s", status, out)
	}
	dir := t.TempDir()
	nodes := filepath.Join(dir, "nodes.yaml")
	if err := os.WriteFile(nodes, []byte(out), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, stderr := nodisk("pxe", "--nodes", nodes, "--out", filepath.Join(dir, "tftp"))
	if status != 0 || !strings.Contains(out, "pxelinux.cfg/01-52-54-00-00-01-02") ||
		strings.Contains(stderr, "command line:") {
		t.Errorf("status %d\n%s%s", status, out, stderr)
	}
	if status, _, stderr = nodisk("pxe"); status != exitUsage || !strings.Contains(stderr, "--example") {
		t.Errorf("without flags: status %d, %s", status, stderr)
	}
}

// Where nobody is left to wake, it is said why; of a whole cluster on InfiniBand not with a line for each node.
func TestWakeNobody(t *testing.T) {
	var text strings.Builder
	text.WriteString("subnets: [ { cidr: 10.0.0.0/16 } ]\nnodes:\n")
	for i := range 150 {
		fmt.Fprintf(&text, "- { name: ib%d, guid: '00:02:c9:03:00:00:10:%02x', ip: 10.0.1.%d }\n", i, i, i+1)
	}
	nodes := filepath.Join(t.TempDir(), "nodes.yaml")
	if err := os.WriteFile(nodes, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	status, out, stderr := nodisk("wake", "--nodes", nodes, "--all")
	const (
		why = ":3:3: node ib0 boots from InfiniBand, and no InfiniBand port is woken by a magic packet: write " +
			"wake: { mac: ... } with the address of an Ethernet port of it, or wake: false\n"
		short = "\nnodisk: warning: and 50 more nodes that boot from InfiniBand, which are not shown\n"
		end   = "\nnodisk: wake: nobody to wake: no node is left of those that were asked for\n"
	)
	if status != exitFailed || out != "" || !strings.HasPrefix(stderr, "nodisk: warning: "+nodes+why) ||
		!strings.Contains(stderr, short) || !strings.HasSuffix(stderr, end) || strings.Count(stderr, "\n") != 102 {
		t.Errorf("status %d, %s%s", status, out, stderr)
	}
}
