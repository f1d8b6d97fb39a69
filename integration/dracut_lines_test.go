package integration

// The command lines of dracut-ng's own tests of roots by NFS and iSCSI, and what is
// to come of each: TEST-60-NFS, TEST-70-ISCSI and TEST-71-ISCSI-MULTI of
// github.com/dracut-ng/dracut at 02e7ae10 (May 2026), all of them and in their order. The
// addresses, names and root paths are dracut's. Its lines end in "ro" (NFS) or "rw rd.auto"
// (iSCSI), which is added, as is a name of the initiator, but for the firmware's.

// Why a line is not booted as it is.
const (
	overlayRoot = "the root is an overlay in memory"
	liveRoot    = "the root is a live image"
	arrayRoot   = "the root is a volume of LVM on MD RAID 0 over both targets"
)

// A dracutNFSLine is one case of TEST-60-NFS: a card at the first slot of PCI,
// which udev calls enp0s1, and a server with three addresses on its network, which
// serves DHCP and, by NFS 3 as /nfs/client and by NFS 4 as /client, one root.
type dracutNFSLine struct {
	host  string // what the server calls the node, and what the subtest is called
	title string // dracut's own
	line  string
	addr  string // the node's, by DHCP
	path  string // the server's root path (option 17), empty for none
	root  string // what the root is mounted from
	wsize bool   // wsize=4096 is among the mount's options
	// device has the address; empty is enp0s1, else a bridge over port.
	device, port string
	leftOut      string // why it is not booted
}

func dracutNFSLines() []dracutNFSLine {
	const (
		one3, two3, three3 = "192.168.50.1:/nfs/client", "192.168.50.2:/nfs/client", "192.168.50.3:/nfs/client"
		one4, three4       = "192.168.50.1:/client", "192.168.50.3:/client"
	)
	return []dracutNFSLine{
		{host: "nfs3-0", title: "NFSv3 root=dhcp DHCP path only", line: "root=dhcp", addr: "192.168.50.100",
			path: "/nfs/client", root: one3},
		{
			host: "nfs3-1", title: "NFSv3 Legacy root=/dev/nfs nfsroot=IP:path",
			line: "root=/dev/nfs nfsroot=192.168.50.1:/nfs/client",
			addr: "192.168.50.101", path: "192.168.50.2:/nfs/client", root: one3,
		},
		{host: "nfs3-2", title: "NFSv3 Legacy root=/dev/nfs DHCP path only", line: "root=/dev/nfs",
			addr: "192.168.50.102", path: "/nfs/client", root: one3},
		{
			host: "nfs3-3", title: "NFSv3 Legacy root=/dev/nfs DHCP IP:path", line: "root=/dev/nfs",
			addr: "192.168.50.103", path: "192.168.50.2:/nfs/client", root: two3,
		},
		{host: "nfs3-4", title: "NFSv3 root=dhcp DHCP IP:path", line: "root=dhcp", addr: "192.168.50.104",
			path: "192.168.50.2:/nfs/client", root: two3},
		{
			host: "nfs3-5", title: "NFSv3 root=dhcp DHCP proto:IP:path", line: "root=dhcp",
			addr: "192.168.50.105", path: "nfs:192.168.50.3:/nfs/client", root: three3,
		},
		{
			host: "nfs3-6", title: "NFSv3 root=dhcp DHCP proto:IP:path:options", line: "root=dhcp",
			addr: "192.168.50.106", path: "nfs:192.168.50.3:/nfs/client:wsize=4096", root: three3, wsize: true,
		},
		{host: "nfs3-7", title: "NFSv3 root=nfs:...", line: "root=nfs:192.168.50.1:/nfs/client", addr: "192.168.50.107",
			root: one3},
		{
			host: "nfs3-8", title: "NFSv3 Bridge root=nfs:...", line: "root=nfs:192.168.50.1:/nfs/client bridge " +
				"net.ifnames=0",
			addr: "192.168.50.108", root: one3, device: "br0", port: "eth0",
		},
		{host: "nfs3-9", title: "NFSv3 Legacy root=IP:path", line: "root=192.168.50.1:/nfs/client",
			addr: "192.168.50.109", root: one3},
		{
			host: "nfs3-10", title: "NFSv3 root=dhcp DHCP path,options", line: "root=dhcp",
			addr: "192.168.50.110", path: "/nfs/client,wsize=4096", root: one3, wsize: true,
		},
		{
			host: "nfs3-11", title: "NFSv3 root=dhcp DHCP IP:path,options", line: "root=dhcp",
			addr: "192.168.50.111", path: "192.168.50.2:/nfs/client,wsize=4096", root: two3, wsize: true,
		},
		{
			host: "nfs3-12", title: "NFSv3 root=dhcp DHCP proto:IP:path,options", line: "root=dhcp",
			addr: "192.168.50.112", path: "nfs:192.168.50.3:/nfs/client,wsize=4096", root: three3, wsize: true,
		},
		{
			// dracut's test has it as a comment: to be mended.
			host: "nfs3-13", title: "NFSv3 Bridge Customized root=dhcp DHCP path,options",
			line: "root=dhcp bridge=foobr0:enp0s1",
			addr: "192.168.50.113", path: "/nfs/client,wsize=4096", root: one3, wsize: true, device: "foobr0",
			port: "enp0s1",
		},
		{host: "nfs4-0", title: "NFSv4 root=dhcp DHCP proto:IP:path", line: "root=dhcp", addr: "192.168.50.180",
			path: "nfs4:192.168.50.3:/client", root: three4},
		{
			host: "nfs4-1", title: "NFSv4 root=dhcp DHCP proto:IP:path:options", line: "root=dhcp",
			addr: "192.168.50.181", path: "nfs4:192.168.50.3:/client:wsize=4096", root: three4, wsize: true,
		},
		{host: "nfs4-2", title: "NFSv4 root=nfs4:...", line: "root=nfs4:192.168.50.1:/client", addr: "192.168.50.182",
			root: one4},
		{
			host: "nfs4-3", title: "NFSv4 root=dhcp DHCP proto:IP:path,options", line: "root=dhcp",
			addr: "192.168.50.183", path: "nfs4:192.168.50.3:/client,wsize=4096", root: three4, wsize: true,
		},
		{
			host: "nfs4-4", title: "NFSv4 Overlayfs root=nfs4:...", line: "root=nfs4:192.168.50.1:/client rd.overlay",
			addr: "192.168.50.184", root: one4, leftOut: overlayRoot,
		},
		{
			host: "nfs4-5", title: "NFSv4 Live Overlayfs root=nfs4:...", line: "root=nfs4:192.168.50.1:/client " +
				"rd.live.image rd.overlay",
			addr: "192.168.50.185", root: one4, leftOut: liveRoot,
		},
	}
}

// A dracutISCSILine is one case of TEST-70-ISCSI or TEST-71-ISCSI-MULTI: two cards,
// each on a network of its own with the server. On both it serves DHCP, with a root path; on
// 192.168.50.1 target0 (a disk called singleroot) and target2, for 192.168.50.101 only, on
// 192.168.51.1 target1, for 192.168.51.101 only.
//
// dracut's tests call the cards lan0 and lan1, by files for udev in the image, for which ifname= is
// in the line here. Up to release 106 the lines had udev's names, enp0s1 and enp0s2, in
// their places. {lan0} and {lan1} stand for either.
type dracutISCSILine struct {
	name  string // of the subtest
	title string // dracut's own
	line  string
	names []string // the cards' in the boots of this line: dracutLAN, dracutSlot
	ibft  bool     // the firmware leaves a table
	host  string   // the node's name, empty where nobody gives it one
	nets  []string // the addresses of the cards, "" for none
	label string   // of the root
	// targets are those that are attached.
	targets []string
	leftOut string // why it is not booted as it is
	// plain says that it is booted with the root on the disk of target2 alone: what
	// leads to the targets is the line's own.
	plain bool
}

// The names that the cards of a line may have.
const (
	dracutLAN  = "lan"
	dracutSlot = "enp0s"
)

func dracutISCSILines() []dracutISCSILine {
	const (
		target = "iqn.2009-06.dracut:target"
		both   = " netroot=iscsi:192.168.51.1::::" + target + "1 netroot=iscsi:192.168.50.1::::" + target + "2"
		multi  = "root=LABEL=sysroot ip=192.168.50.101:::255.255.255.0::{lan0}:off " +
			"ip=192.168.51.101:::255.255.255.0::{lan1}:off" + both
		routed = "root=LABEL=sysroot ip=192.168.50.101::192.168.50.1:255.255.255.0::{lan0}:off" +
			" ip=192.168.51.101::192.168.51.1:255.255.255.0::{lan1}:off" + both
	)
	var (
		first  = []string{"192.168.50.101", ""}
		second = []string{"192.168.50.101", "192.168.51.101"}
		arrays = []string{target + "1", target + "2"}
	)
	return []dracutISCSILine{
		{
			name: "iscsi-dhcp", title: "root=dhcp", line: "root=/dev/root netroot=dhcp ip={lan0}:dhcp",
			names: []string{dracutLAN, dracutSlot}, host: "iscsi-0", nets: first, label: "singleroot",
			targets: []string{target + "0"},
		},
		{
			name: "iscsi-target0", title: "netroot=iscsi target0",
			line: "root=LABEL=singleroot netroot=iscsi:192.168.50.1::::" + target + "0" +
				" ip=192.168.50.101::192.168.50.1:255.255.255.0:iscsi-1:{lan0}:off",
			names: []string{dracutLAN, dracutSlot}, host: "iscsi-1", nets: first, label: "singleroot",
			targets: []string{target + "0"},
		},
		{
			name: "iscsi-two-targets", title: "netroot=iscsi target1 target2", line: "root=LABEL=sysroot ip=dhcp" +
				both,
			names: []string{dracutSlot}, host: "iscsi-[01]", nets: second, label: "sysroot",
			targets: arrays, leftOut: arrayRoot, plain: true,
		},
		{
			name: "iscsi-ibft", title: "root=ibft", line: "root=LABEL=singleroot rd.iscsi.ibft=1 rd.iscsi.firmware=1",
			names: []string{dracutSlot}, ibft: true, host: "client", nets: first, label: "singleroot",
			targets: []string{target + "0"},
		},
		// TEST-71-ISCSI-MULTI
		{name: "multi", title: "netroot=iscsi target1 target2", line: multi, leftOut: arrayRoot},
		{
			name: "multi-waitnet", title: "netroot=iscsi target1 target2 rd.iscsi.waitnet=0",
			line: multi + " rd.iscsi.firmware rd.iscsi.waitnet=0", leftOut: arrayRoot,
		},
		{
			name: "multi-testroute", title: "netroot=iscsi target1 target2 rd.iscsi.waitnet=0 rd.iscsi.testroute=0",
			line: multi + " rd.iscsi.firmware rd.iscsi.waitnet=0 rd.iscsi.testroute=0", leftOut: arrayRoot,
		},
		{
			name: "multi-gateways", title: "netroot=iscsi target1 target2 rd.iscsi.waitnet=0 " +
				"rd.iscsi.testroute=0 default GW",
			line:  routed + " rd.iscsi.firmware rd.iscsi.waitnet=0 rd.iscsi.testroute=0",
			names: []string{dracutSlot}, nets: second, label: "sysroot", targets: arrays, leftOut: arrayRoot,
			plain: true,
		},
	}
}
