package integration

import (
	"net"
	"net/netip"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/rig"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/ibft"
	"github.com/nodisk/nodisk/netsetup/ibft/ibfttest"
)

// What ends dracut's lines. Those of iSCSI name the initiator, but for that one
// which leaves it to the firmware.
const (
	dracutInitiator  = "iqn.2026-01.test.nodisk:dracut"
	dracutTableName  = "iqn.1994-05.com.redhat:633114aacf2"
	dracutNFSWords   = " ro"
	dracutISCSIWords = " rw rd.auto"
	dracutNameWord   = " rd.iscsi.initiator=" + dracutInitiator

	// Tests on the rig have the kernel's names by default.
	udevNames = "net.ifnames=1 "
)

// dracutCases boot the lines of dracut's own tests, with the cards at its places.
func dracutCases() []rigCase {
	var cases []rigCase
	for _, l := range dracutNFSLines() {
		if l.leftOut == "" {
			cases = append(cases, l.boot())
		}
	}
	for _, l := range dracutISCSILines() {
		if l.leftOut == "" || l.plain {
			for _, names := range l.names {
				cases = append(cases, l.boot(names))
			}
		}
	}
	return cases
}

func (l dracutNFSLine) boot() rigCase {
	const made = "root-of-client"
	q := regexp.QuoteMeta
	kind, version := "nfs", "3"
	if strings.HasPrefix(l.host, "nfs4") {
		kind, version = "nfs4", "4"
	}
	server, _, _ := strings.Cut(l.root, ":")
	device := l.device
	if device == "" {
		device = "enp0s1"
	}
	c := rigCase{
		name: "dracut-" + l.host, fs: kind,
		expect: []string{mounted},
		root: []string{
			`^root ` + kind + ` ` + q(l.root) + ` ro,.*\bvers=` + version + `\b.*\baddr=` + q(server) + `\b`,
			`^files .*\b` + made + `\b`,
			`^hostname ` + l.host + `$`, `^net ` + device + ` ` + q(l.addr) + `/24$`,
		},
		boot: rig.Boot{
			BootSpec: lab.BootSpec{Root: lab.RootNone, Board: "q35", Cmdline: udevNames + l.line + dracutNFSWords},
			Wire: []string{
				"ip address add 192.168.50.1/24 dev c0", "ip address add 192.168.50.2/24 dev c0",
				"ip address add 192.168.50.3/24 dev c0",
				"[ -d /nfs/client ] || { mkdir /nfs && cp -a /nfsroot /nfs/client && touch /nfs/client/" + made + "; }",
				"start_nfs '/nfs 192.168.50.0/24(ro,fsid=0,insecure,no_subtree_check,no_root_squash)'" +
					" '/nfs/client 192.168.50.0/24(ro,fsid=2,insecure,no_subtree_check,no_root_squash)'",
				"start_dhcp c0 " + dracutDHCP("50", 0, l.addr, l.host, l.path),
			},
		},
	}
	wsize := `^root .*\bwsize=4096\b`
	if l.wsize {
		c.root = append(c.root, wsize)
	} else {
		c.never = append(c.never, wsize)
	}
	if l.port != "" {
		c.root = append(c.root, `^link `+l.port+` .*master=`+device+`$`)
	}
	return c
}

// dracutDHCP are dnsmasq's lines for the network 192.168.NET.0/24 and the node's card
// of that number.
func dracutDHCP(net string, card int, addr, host, path string) string {
	fill := strings.NewReplacer("NET", net, "CARD", strconv.Itoa(card), "ADDR", addr, "HOST", host, "PATH", path)
	words := "dhcp-range=192.168.NET.200,192.168.NET.250,255.255.255.0 dhcp-host={macCARD},set:cardCARD,ADDR,HOST" +
		" dhcp-option=tag:cardCARD,option:domain-name,netNET.test " +
		"dhcp-option=tag:cardCARD,option:tftp-server,192.168.NET.1"
	if path != "" {
		words += ` 'dhcp-option=tag:cardCARD,17,"PATH"'`
	}
	return fill.Replace(words)
}

func (l dracutISCSILine) boot(names string) rigCase {
	q := regexp.QuoteMeta
	cards, line := l.cards(names)
	c := rigCase{
		name:   "dracut-" + l.name + "-" + cards[0],
		expect: []string{mounted},
		root:   []string{`^label ` + l.label + `$`, `^writable yes$`},
		boot: rig.Boot{
			BootSpec: lab.BootSpec{Name: l.name, Root: lab.RootNone, Board: "q35", Cmdline: udevNames + line},
			At:       []int{0, 1},
			Wire: []string{
				"ip address add 192.168.50.1/24 dev c0", "ip address add 192.168.51.1/24 dev c1",
				"start_dhcp c0 interface=c1 " + dracutDHCP("50", 0, "192.168.50.101", "iscsi-0",
					"iscsi:192.168.50.1:::1:iqn.2009-06.dracut:target0") +
					" " + dracutDHCP("51", 1, "192.168.51.101", "iscsi-1",
					"iscsi:192.168.51.1:::1:iqn.2009-06.dracut:target1"),
				"start_tgtd",
				// The disks of dracut's array, of which the second has a file system here.
				"start_labelled 1 iqn.2009-06.dracut:target0 1 singleroot 192.168.50.101",
				"start_labelled 2 iqn.2009-06.dracut:target1 2 raid0-1 192.168.51.101",
				"start_labelled 3 iqn.2009-06.dracut:target2 3 sysroot 192.168.50.101",
			},
		},
	}
	if l.host != "" {
		c.root = append(c.root, `^hostname `+l.host+`$`)
	}
	for i, addr := range l.nets {
		if addr == "" {
			c.never = append(c.never, `^net `+cards[i]+` \S`)
			continue
		}
		c.root = append(c.root, `^net `+cards[i]+` `+q(addr)+`/24$`)
	}
	c.more = func(t *testing.T, res rig.Result) {
		var attached []string
		for _, line := range res.Root.Lines {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "session" {
				attached = append(attached, f[1])
			}
		}
		slices.Sort(attached)
		if diff := cmp.Diff(l.targets, attached); diff != "" {
			t.Errorf("targets (-want +attached):\n%s", diff)
		}
	}
	initiator := dracutInitiator
	if l.ibft {
		c.boot.IBFT, initiator = dracutFirmware, dracutTableName
	}
	c.root = append(c.root, `^initiator InitiatorName=`+q(initiator)+`$`)
	return c
}

// cards are the names of the two cards, and the line with them in it.
func (l dracutISCSILine) cards(names string) (cards []string, line string) {
	line = l.line + dracutISCSIWords
	if !l.ibft {
		line += dracutNameWord
	}
	if names == dracutSlot {
		cards = []string{"enp0s1", "enp0s2"}
	} else {
		cards = []string{"lan0", "lan1"}
		line += " ifname=lan0:{mac0} ifname=lan1:{mac1}"
	}
	return cards, strings.NewReplacer("{lan0}", cards[0], "{lan1}", cards[1]).Replace(line)
}

// dracutFirmware is the table that dracut's test gives to QEMU, but for the address
// of the first card.
func dracutFirmware(values map[string]string) []byte {
	mac, err := net.ParseMAC(values["mac0"])
	if err != nil {
		panic(err) // the lab's own
	}
	server := netip.MustParseAddr("192.168.50.1")
	return ibfttest.Write(ibft.Table{
		Initiator: dracutTableName,
		NICs: []ibft.NIC{{
			Selected: true, MAC: [6]byte(mac), Addr: netip.MustParseAddr("192.168.50.101"), Bits: 24, DHCP: true,
			Gateway: server, DNS: []netip.Addr{server}, Hostname: "client",
		}},
		Targets: []ibft.Target{{
			Selected: true, Addr: server, Port: 3260, LUN: 1 << 48,
			Name: "iqn.2009-06.dracut:target0",
		}},
	})[ibfttest.HeaderLen:]
}

// Every line, also those that are not booted, is one that nodisk can plan; it
// knows every word, and tells of those that it does nothing for.
func TestDracutLines(t *testing.T) {
	without := []string{"rd.auto", "rd.live.image", "rd.overlay"}
	plan := func(line string) func(*testing.T) {
		return func(t *testing.T) {
			args := cmdline.Parse(lab.Fill(line, map[string]string{
				"mac0": "52:54:00:12:34:00",
				"mac1": "52:54:00:12:34:01",
			}))
			p, err := plan.New(args, nil)
			if err != nil {
				t.Fatal(err)
			}
			var want, told []string
			for _, key := range without {
				if slices.ContainsFunc(args, func(a cmdline.Arg) bool { return a.Key == key }) {
					want = append(want, key)
				}
			}
			for _, w := range p.Warnings {
				key, _, _ := strings.Cut(w, ":")
				told = append(told, key)
			}
			slices.Sort(told)
			if diff := cmp.Diff(want, told); diff != "" {
				t.Errorf("keys that are warned of (-want +got):\n%s\n%s", diff, strings.Join(p.Warnings, "\n"))
			}
		}
	}
	for _, l := range dracutNFSLines() {
		t.Run(l.host, plan(l.line+dracutNFSWords))
	}
	for _, l := range dracutISCSILines() {
		for _, names := range []string{dracutLAN, dracutSlot} {
			_, line := l.cards(names)
			t.Run(l.name+"/"+names, plan(line))
		}
	}
}
