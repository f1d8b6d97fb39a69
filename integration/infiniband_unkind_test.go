package integration

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/integration/fabric"
	"github.com/nodisk/nodisk/integration/lab"
)

// byBond is what /init writes on a bond of IPoIB interfaces.
const byBond = `nodisk: network \(3/\d\): bond0 10\.77\.\d+\.\d+/24 by DHCP`

// silent is what /init says of a server that does not know it.
const silent = `nodisk: .*(ib0|bond0).*no DHCP answer`

// unkindCases are adapters and fabrics as they really behave.
func unkindCases() []ibCase {
	return []ibCase{
		{
			// ib_ipoib makes an interface with the MTU of the port, and lowers it to
			// that of the broadcast group when it has joined it. Both ports are on one
			// adapter.
			bootCase: bootCase{name: "bond-4k", fs: "ext4", expect: []string{
				byBond, mounted,
				`nodisk-root: read done 1\d\d MiB`,
			}},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{
					Root: lab.RootISCSI, CPUs: 2,
					Cmdline: "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp " +
						"nodisk.dhcp.clientid=guid root=dhcp " +
						lab.LinksWord + " " + lab.ReadWord + "=100",
				},
				Reserve: byGUID, TwoPorts: true, HCA: []string{"maxmtu=4096", "ports=2"},
				Script: []lab.Act{
					{On: `nodisk-root: read 16 MiB`, HCA: []string{"event=sm_change,client_reregister"}},
					{On: `nodisk-root: read done`},
				},
			},
			also: []string{`softib0:1 on eth\d, LID `, `softib0:2 on eth\d, LID `},
			root: []string{
				`^link bond0 .* mtu=2044 `,
				`^link ib0 .* mtu=2044 .* dev_port=0 master=bond0$`,
				`^link ib1 .* mtu=2044 .* dev_port=1 master=bond0$`,
			},
			never: []string{`too long to send`, `read error`},
		},
		{
			// ConnectX-4 and later, on the command line of a cluster that has older
			// ones too.
			bootCase: bootCase{
				name: "connected-refused", fs: "ext4",
				expect: []string{`nodisk: warning: .*ib0.*connected`, ibByDHCP, mounted},
			},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{
					Root:    lab.RootISCSI,
					Cmdline: "nodisk.ib.mode=connected ip=ib0:dhcp:65520 root=dhcp " + lab.LinksWord,
				},
				Reserve: byGUID, HCA: []string{"maxmtu=4096", "connected=0"},
			},
			root: []string{`^link ib0 .* mtu=2044 `},
			once: []string{`nodisk: warning: .*ip link set ib0`},
		},
		{
			// It is a limited member when it is switched on, and a full one later;
			// then its adapter is made again, as by a change of the port's type or a
			// reset of its firmware. With its only port goes the bond.
			bootCase: bootCase{name: "bond-registered-again", long: true, fs: "ext4", expect: []string{
				silent + `.*limited member.*0x7fff`, `softib: ordered: pkey0=0xffff`,
				silent, `softib: softib0 is gone`, `softib: ordered: gone=0`, byBond, mounted,
			}},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{
					Root: lab.RootISCSI, CPUs: 2,
					Cmdline: "bond=bond0:ib0:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid root=dhcp " +
						lab.LinksWord,
				},
				Reserve: byGUID, HCA: []string{"maxmtu=4096", "pkey0=0x7fff"},
				Script: []lab.Act{
					{On: silent, HCA: []string{"pkey0=0xffff"}},
					{On: silent, HCA: []string{"gone=1"}},
					{On: `softib: softib0 is gone`, HCA: []string{"gone=0"}, Reserve: true},
				},
			},
			root: []string{
				`^link bond0 .* mtu=2044 `, `^bonding bond0 slaves=ib0$`,
				`^bonding bond0 mode=active-backup 1$`,
			},
		},
		{
			// As its host gives it, but for the GUID, which comes later: a partition of
			// its own in the first entry of its table.
			bootCase: bootCase{name: "virtual-function", long: true, fs: "ext4", expect: []string{
				`nodisk: .*ib0.*port GUID is zero`, `softib: softib0: the port GUID is 02504903`,
				`nodisk: network \(3/\d\): ib0 10\.78\.\d+\.\d+/24 by DHCP`, mounted,
			}},
			boot: fabric.Boot{
				BootSpec: lab.BootSpec{
					Root: lab.RootISCSI, CPUs: 2,
					Cmdline: "ip=ib0:dhcp nodisk.dhcp.clientid=guid root=dhcp " + lab.LinksWord,
				},
				Partition: 1, Keyless: true, Reserve: byGUID,
				HCA:    []string{"pkey0=0x8001", "pkeys=0xffff", "portguid=0"},
				Script: []lab.Act{{On: `port GUID is zero`, HCA: []string{"portguid="}}},
			},
			root: []string{`^link ib0 .* addr=80:00:00:48:fe:80:00:00:00:00:00:00:02:50:49:03:`},
		},
	}
}

// The port stays without a subnet manager for a while. The node says so, and goes
// on when there is one. That ends while the node asks for its lease, and another one
// with other LIDs comes; and once more, with one more partition, while the root reads
// its disk. The group carries 4K packets.
func TestBootInfinibandSubnetManager(t *testing.T) {
	t.Parallel()
	f := newFabric(t, fabric.Spec{
		SubnetManager: true,
		// 5 is 4096 (IBA 14.2.5.6).
		Files: map[string]string{"etc/opensm/partitions.conf": "Default=0x7fff, ipoib, mtu=5: ALL=full, SELF=full;\n"},
	})
	const partition = "echo 'other=0x0001, ipoib, mtu=5: ALL=full, SELF=full;' >>/etc/opensm/partitions.conf && "
	kernel, image := ibImage(t)
	c := ibCase{
		bootCase: bootCase{name: "opensm", fs: "ext4", expect: []string{
			`nodisk: .*the subnet manager has not configured port 1 of \w+ \(state INIT`, silent,
			ibByDHCP,
			`nodisk: error: attach .*10\.77\.\d+\.1:3260: no route to host.*over InfiniBand \(ib0\).*the subnet manager may have ended \(check sminfo\)`,
			`softib0: port state 4 -> 4, LID 0x21, SM LID 0x22`,
			mounted, `softib0: port state 4 -> 4, LID 0x31, SM LID 0x32`, `nodisk-root: read done 64 MiB`,
		}},
		also: []string{`softib0: the P_Key table has changed, its first entries are 0xffff 0x8001`},
		boot: fabric.Boot{
			BootSpec: lab.BootSpec{Root: lab.RootISCSI, Append: lab.LinksWord + " " + lab.ReadWord + "=64"},
			Reserve:  byGUID, HCA: []string{"maxmtu=4096"},
			Script: []lab.Act{
				{On: `the subnet manager has not configured port 1 of \w+ \(state INIT`, Server: "start_opensm"},
				{On: silent, Server: "stop_opensm", Reserve: true},
				{
					On:     `nodisk: error: attach .*10\.77\.\d+\.1:3260: no route to host`,
					Server: "lids 0x21 {guid64} 0x22 {serverguid64} && start_opensm",
				},
				{On: `nodisk-root: read \d+ MiB`, Server: "stop_opensm"},
				{On: `nodisk-root: read \d+ MiB`, Server: partition + "lids 0x31 {guid64} 0x32 {serverguid64} " +
					"&& start_opensm"},
				{On: `nodisk-root: read done`},
			},
		},
		root:  []string{`^link ib0 .* mtu=4092 `},
		never: []string{`too long to send`, `read error`},
	}
	takePlace(t, busy)
	c.run(t, f, kernel, image)
}

// checkLines looks for what is to be on the console, or is not.
func (c ibCase) checkLines(t *testing.T, res lab.BootResult) {
	t.Helper()
	for _, pattern := range c.root {
		if !slices.ContainsFunc(res.Root.Lines, regexp.MustCompile(pattern).MatchString) {
			t.Errorf("the root said nothing like %q, but:\n%s", pattern, strings.Join(res.Root.Lines, "\n"))
		}
	}
	console := strings.Split(res.Console, "\n")
	for _, pattern := range c.also {
		if !slices.ContainsFunc(console, regexp.MustCompile(pattern).MatchString) {
			t.Errorf("the console has no line like %q", pattern)
		}
	}
	for _, l := range console {
		for _, pattern := range c.never {
			if regexp.MustCompile(pattern).MatchString(l) {
				t.Errorf("the console has %q, which is like %q", l, pattern)
			}
		}
	}
	for _, pattern := range c.once {
		var like []string
		for _, l := range console {
			if regexp.MustCompile(pattern).MatchString(l) {
				like = append(like, l)
			}
		}
		if len(like) != 1 {
			t.Errorf("the console has %d lines like %q, want one:\n%s", len(like), pattern, strings.Join(like, "\n"))
		}
	}
}
