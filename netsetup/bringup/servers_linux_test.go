package bringup

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A realServer is a server program and what the node gets of it.
type realServer struct {
	start func(t *testing.T, c *cable, mac link.HardwareAddr, server netip.Prefix) (log func() string)
	words string // of the command line, besides ip=
	lease func(server netip.Prefix) lease.Lease
	// log are texts that the server's log has.
	log []string
	// hears is what the server hears, straight if empty.
	hears string
	// upTo is the last byte that the address may have instead, 0 for none:
	// Kea goes on through its pool with every offer.
	upTo byte
}

const classes = "rd.net.dhcp.vendor-class=nodisk-test nodisk.dhcp.user-class=cluster-7"

// dnsmasqFor starts dnsmasq with a pool and further arguments, in which $MAC
// and $NET stand for the node's address and the first three bytes of the
// network.
func dnsmasqFor(args ...string) func(*testing.T, *cable, link.HardwareAddr, netip.Prefix) func() string {
	return func(_ *testing.T, c *cable, mac link.HardwareAddr, server netip.Prefix) func() string {
		words := strings.Fields(inNetwork(strings.Join(args, " "), mac, server))
		return c.dnsmasq(words...)
	}
}

func inNetwork(text string, mac link.HardwareAddr, server netip.Prefix) string {
	network := strings.TrimSuffix(server.Addr().String(), ".1")
	return strings.NewReplacer("$MAC", mac.String(), "$NET", network).Replace(text)
}

// everything is the lease that both programs are told to give.
func everything(server netip.Prefix) lease.Lease {
	l := goodLease(server)
	l.Gateway = in4(server, 254)
	l.DNS = append(l.DNS, in4(server, 54))
	l.InitiatorName = "iqn.2026-01.example:node7"
	l.Routes = []link.Route{{Dst: prefix("10.5.0.0/16"), Via: in4(server, 9)}}
	l.Duration, l.Renew, l.Rebind = time.Hour, 30*time.Minute, 3150*time.Second
	return l
}

// bare is a lease of a server that has been told no options.
func bare(server netip.Prefix, last byte, l lease.Lease) lease.Lease {
	l.Protocol, l.Server, l.Addr = "DHCP", server.Addr(), netip.PrefixFrom(in4(server, last), 24)
	return l
}

func hour(last byte) func(netip.Prefix) lease.Lease {
	return func(server netip.Prefix) lease.Lease {
		return bare(server, last, lease.Lease{
			Gateway: server.Addr(), DNS: nil, NextServer: server.Addr(), Duration: time.Hour, Renew: 30 * time.Minute, Rebind: 3150 * time.Second,
		})
	}
}

func realServers() map[string]realServer {
	const pool = "--dhcp-range=$NET.100,$NET.200,255.255.255.0,1h"
	const all = pool + " --dhcp-host=id:01:$MAC,$NET.23,node7 --domain=cluster.example --dhcp-boot=pxelinux.0,,$NET.2" +
		" --dhcp-option=3,$NET.1 --dhcp-option=6,$NET.53,$NET.54 --dhcp-option=42,$NET.42 --dhcp-option=119,a.example,example" +
		" --dhcp-option=26,1400 --dhcp-option=121,10.5.0.0/16,$NET.9,0.0.0.0/0,$NET.254"
	return map[string]realServer{
		"dnsmasq, all options": {
			start: dnsmasqFor(all, "--dhcp-option=17,iscsi:10.0.0.2::::iqn.2026-01.example:disk", "--dhcp-option=203,iqn.2026-01.example:node7"),
			lease: everything,
		},
		// Root and initiator are for those who send both classes; others get
		// no answer.
		"dnsmasq, classes": {
			start: dnsmasqFor(all, "--dhcp-vendorclass=set:vendor,nodisk-test", "--dhcp-userclass=set:user,cluster-7", "--dhcp-ignore=tag:!vendor",
				"--dhcp-option=tag:vendor,17,iscsi:10.0.0.2::::iqn.2026-01.example:disk", "--dhcp-option=tag:user,203,iqn.2026-01.example:node7"),
			words: classes, lease: everything, log: []string{"vendor class: nodisk-test", "user class: cluster-7"},
		},
		"dnsmasq, lease for ever": {
			start: dnsmasqFor("--dhcp-range=$NET.100,$NET.100,255.255.255.0,infinite"),
			lease: func(server netip.Prefix) lease.Lease {
				l := hour(100)(server)
				l.Duration, l.Renew, l.Rebind = 0, 0, 0
				return l
			},
		},
		"dnsmasq, its shortest lease": {
			start: dnsmasqFor("--dhcp-range=$NET.100,$NET.100,255.255.255.0,1m"),
			lease: func(server netip.Prefix) lease.Lease {
				l := hour(100)(server)
				l.Duration, l.Renew, l.Rebind = 2*time.Minute, time.Minute, 105*time.Second
				return l
			},
		},
		"dnsmasq, reserved by client-id": {
			start: dnsmasqFor("--dhcp-range=$NET.100,static,255.255.255.0,1h", "--dhcp-host=id:aa:bb:cc:07,$NET.33"),
			words: "nodisk.dhcp.clientid=hex:aabbcc07", lease: hour(33),
		},
		"dnsmasq, reserved by MAC": {
			start: dnsmasqFor("--dhcp-range=$NET.100,static,255.255.255.0,1h", "--dhcp-host=$MAC,$NET.34"),
			words: "nodisk.dhcp.clientid=none", lease: hour(34),
		},
		"dnsmasq, rapid commit": {start: dnsmasqFor("--dhcp-range=$NET.100,$NET.100,255.255.255.0,1h --dhcp-rapid-commit"), lease: hour(100), hears: "DISCOVER"},
		"dnsmasq, with its ping": {
			start: func(_ *testing.T, c *cable, _ link.HardwareAddr, server netip.Prefix) func() string {
				return c.dnsmasqAsIs(fmt.Sprintf("--dhcp-range=%[1]s,%[1]s,255.255.255.0,1h", in4(server, 100)))
			}, lease: hour(100),
		},
		"Kea, all options": {
			start: keaFor(`"valid-lifetime": 3600, "renew-timer": 1800, "rebind-timer": 3150`, keaSubnet(keaOptions(), keaReservation)),
			lease: everything,
		},
		"Kea, classes": {
			start: keaFor(`"valid-lifetime": 3600, "renew-timer": 1800, "rebind-timer": 3150, "client-classes": [
				{"name": "both", "test": "option[60].text == 'nodisk-test' and option[77].hex == 'cluster-7'"}]`,
				keaSubnet(keaOptions(), keaReservation, `"client-class": "both"`)),
			words: classes, lease: everything,
		},
		"Kea, lease of 60 s": {
			start: keaFor(`"valid-lifetime": 60`, keaSubnet()),
			lease: func(server netip.Prefix) lease.Lease { return bare(server, 100, lease.Lease{Duration: time.Minute}) },
		},
		"Kea, lease for ever": {
			start: keaFor(`"valid-lifetime": 4294967295`, keaSubnet()),
			lease: func(server netip.Prefix) lease.Lease { return bare(server, 100, lease.Lease{}) },
		},
		"Kea, reserved by client-id": {
			start: keaFor(`"valid-lifetime": 3600`, keaSubnet(`"reservations": [{"client-id": "aa:bb:cc:07", "ip-address": "$NET.33"}]`)),
			words: "nodisk.dhcp.clientid=hex:aabbcc07",
			lease: func(server netip.Prefix) lease.Lease { return bare(server, 33, lease.Lease{Duration: time.Hour}) },
		},
		// Somebody has the first two addresses of the pool.
		"Kea, addresses in use": {
			start: func(t *testing.T, c *cable, mac link.HardwareAddr, server netip.Prefix) func() string {
				for _, last := range []byte{100, 101} {
					c.alsoHas(netip.PrefixFrom(in4(server, last), 32))
				}
				return keaFor(`"valid-lifetime": 3600`, keaSubnet())(t, c, mac, server)
			},
			lease: func(server netip.Prefix) lease.Lease { return bare(server, 102, lease.Lease{Duration: time.Hour}) },
			upTo:  110,
			log:   []string{"DHCP4_DECLINE_LEASE"}, hears: "DISCOVER REQUEST DECLINE DISCOVER REQUEST DECLINE DISCOVER REQUEST",
		},
	}
}

const keaReservation = `"reservations": [{"client-id": "01:$MAC", "ip-address": "$NET.23", "hostname": "node7"}]`

// keaOptions are those of everything.
func keaOptions() string {
	return `"next-server": "$NET.2", "option-data": [
		{"name": "routers", "data": "$NET.1"}, {"name": "domain-name-servers", "data": "$NET.53, $NET.54"},
		{"name": "ntp-servers", "data": "$NET.42"}, {"name": "domain-name", "data": "cluster.example"},
		{"name": "domain-search", "data": "a.example, example"}, {"name": "interface-mtu", "data": "1400"},
		{"name": "root-path", "data": "iscsi:10.0.0.2::::iqn.2026-01.example:disk"},
		{"code": 203, "csv-format": false, "data": "'iqn.2026-01.example:node7'"},
		{"code": 121, "csv-format": false, "data": "$ROUTES"}]`
}

func keaSubnet(parts ...string) string {
	parts = append([]string{`"subnet": "$NET.0/24"`, `"pools": [{"pool": "$NET.100 - $NET.200"}]`}, parts...)
	return `"subnet4": [{` + strings.Join(parts, ", ") + `}]`
}

// keaFor starts Kea's server of DHCPv4, which has its own packet sockets.
func keaFor(parts ...string) func(*testing.T, *cable, link.HardwareAddr, netip.Prefix) func() string {
	return func(t *testing.T, c *cable, mac link.HardwareAddr, server netip.Prefix) func() string {
		text := inNetwork(`{"Dhcp4": {"interfaces-config": {"interfaces": ["`+c.peer+`"]}, `+
			`"lease-database": {"type": "memfile", "persist": false}, "loggers": [{"name": "kea-dhcp4", "severity": "DEBUG", "debuglevel": 15,
				"output_options": [{"output": "stdout", "flush": true}]}], `+strings.Join(parts, ", ")+`}}`, mac, server)
		// 10.5.0.0/16 by .9, and the default by .254.
		net := server.Addr().As4()
		routes := fmt.Sprintf("100a05%02x%02x%02x0900%02x%02x%02xfe", net[0], net[1], net[2], net[0], net[1], net[2])
		text = strings.ReplaceAll(text, "$ROUTES", routes)
		if !json.Valid([]byte(text)) {
			t.Fatalf("not JSON: %s", text)
		}
		name := filepath.Join(t.TempDir(), "kea.conf")
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return c.daemon("kea-dhcp4", "kea-dhcp4-server", []string{"-c", name}, "DHCP4_STARTED", "DHCP4_INIT_FAIL", "DHCP4_CONFIG_LOAD_FAIL")
	}
}

// Both servers that people have give the node what they have been told to.
func TestUpServers(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	sideBySide(t, realServers(), func(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix, r realServer) {
		b := newBadCable(t, dev, mac, server, func(_ time.Duration, _ bool, frame []byte) []delivery { return pass(frame) })
		b.connected(dev)
		log := r.start(t, b.cable, mac, server)
		s, _, err := upBeside(t, "ip="+dev+":dhcp "+r.words, 30*time.Second)
		if err != nil || s.Lease == nil {
			t.Fatalf("%v, %v", s, err)
		}
		want := r.lease(server)
		if got := s.Lease.Addr.Addr(); want.Addr.Addr().Less(got) && got.Less(in4(server, r.upTo+1)) {
			want.Addr = s.Lease.Addr
		}
		if diff := cmp.Diff(want, *s.Lease, byValue()); diff != "" {
			t.Errorf("lease (-want +got):\n%s", diff)
		}
		for _, text := range r.log {
			eventually(t, text+" in the server's log", func() bool { return strings.Contains(log(), text) })
		}
		hears := r.hears
		if hears == "" {
			hears = straight
		}
		if got := b.once(); got != hears {
			t.Errorf("the server hears %s, expected %s", got, hears)
		}
		if n := len(b.sent(dhcpv4.MessageTypeDiscover)); n > 5 {
			t.Errorf("%d DISCOVERs", n)
		}
	})
}
