package netsetup

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

func update() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files")
	m.Run()
}

// Each paragraph of testdata/steps.txt is a command line and the commands that
// follow from it for a fixed set of devices.
func TestSteps(t *testing.T) {
	have := []link.Device{
		{Index: 1, Name: "lo", Type: link.HwLoopback, MTU: 65536},
		{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA, MTU: 1500, Physical: true, Driver: "virtio_net"},
		{Index: 3, Name: "eth1", Type: link.HwEthernet, Addr: macB, MTU: 1500, Physical: true, Driver: "e1000", Up: true, Carrier: true},
		{Index: 4, Name: "veth0", Type: link.HwEthernet, Addr: "\x52\x54\x00\x12\x34\x58", MTU: 1500},
		linktest.GuidePort(),
		{Index: 6, Name: "eth2", Type: link.HwEthernet, Addr: "\x52\x54\x00\x12\x34\x59", MTU: 1500, Physical: true, Master: 9},
	}
	golden := filepath.Join("testdata", "steps.txt")
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for paragraph := range strings.SplitSeq(strings.TrimSpace(string(text)), "\n\n") {
		line, _, _ := strings.Cut(paragraph, "\n")
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString(line + "\n")
		c, err := ParseConfig(cmdline.Parse(strings.TrimPrefix(line, "# ")))
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		steps, err := c.Steps(have)
		for _, s := range steps {
			out.WriteString(s.String() + "\n")
		}
		if err != nil {
			out.WriteString("error: " + err.Error() + "\n")
		}
	}
	if update() {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(string(text), out.String()); diff != "" {
		t.Errorf("steps (-golden +got):\n%s", diff)
	}
}

func TestState(t *testing.T) {
	d := link.Device{Name: "eth0", Addr: macA, MTU: 1500}
	l := lease.Lease{
		Protocol: "DHCP",
		Addr:     prefix("10.77.0.23/24"), Server: addr("10.77.0.1"), Hostname: "node7.cluster.example.",
		DNS: []netip.Addr{addr("10.77.0.1"), addr("10.77.0.2")}, Search: []string{"example"}, Duration: time.Hour,
	}
	for name, tt := range map[string]struct {
		config Config
		n      Addressing
		lease  lease.Lease
		text   string
		resolv string
		host   string
	}{
		"DHCP": {
			n: Addressing{Method: lease.MethodDHCP}, config: Config{Nameservers: []netip.Addr{addr("10.77.0.2")}}, lease: l,
			text: "eth0 10.77.0.23/24 by DHCP from 10.77.0.1", host: "node7",
			resolv: "search cluster.example example\nnameserver 10.77.0.2\nnameserver 10.77.0.1\n",
		},
		"without peer DNS": {
			n: Addressing{Method: lease.MethodDHCP}, config: Config{IgnorePeerDNS: true}, lease: l,
			text: "eth0 10.77.0.23/24 by DHCP from 10.77.0.1", host: "node7", resolv: "search cluster.example\n",
		},
		"static": {
			n: Addressing{Method: lease.MethodStatic, DNS: []netip.Addr{addr("9.9.9.9")}}, lease: lease.Lease{Addr: prefix("10.77.0.23/24"), Hostname: "n8"},
			text: "eth0 10.77.0.23/24 static", host: "n8", resolv: "nameserver 9.9.9.9\n",
		},
		"none": {n: Addressing{Method: lease.MethodNone}, text: "eth0 without address"},
	} {
		t.Run(name, func(t *testing.T) {
			s := tt.config.State(tt.n, d, tt.lease)
			if s.String() != tt.text || s.ResolvConf() != tt.resolv || s.Hostname != tt.host {
				t.Errorf("got %q, host %q, resolv.conf:\n%s", s, s.Hostname, s.ResolvConf())
			}
		})
	}
	if s := (State{Source: "off"}).String(); s != "off" {
		t.Errorf("off: %q", s)
	}
}
