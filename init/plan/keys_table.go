package plan

import (
	"slices"
	"strings"
	"sync"
)

// The manuals.
const (
	byKernel    = "nfsroot.rst"
	byDracut    = "dracut.cmdline(7)"
	byTools     = "initramfs-tools(7)"
	byOpenISCSI = "open-iscsi's README.Debian"
	byUdev      = "systemd.net-naming-scheme(7)"
	bySystemd   = "kernel-command-line(7)"
	byNM        = "nm-initrd-generator(8)"
	byKickstart = "anaconda, and its kickstart"
	byLive      = "casper, live-boot, MAAS"
	byHabit     = "no manual"
	byImages    = "xCAT, Warewulf, anaconda, CoreOS, Arch"
)

// Keys returns all keys that are known: nodisk's own and those of the kernel's
// nfsroot.rst, dracut.cmdline(7) up to dracut 111, initramfs-tools(7), open-iscsi's
// README.Debian, nm-initrd-generator(8) and kernel-command-line(7), and what klibc, casper,
// live-boot and tools that install nodes have besides.
// docs/cmdline.md is written by the same table; see TestKeys. It is one for all
// callers, who must not change it.
func Keys() []Key { return allKeys() }

// allKeys and doneKeys are made once: "nodisk pxe" judges a command line for each
// of its nodes.
var (
	allKeys = sync.OnceValue(func() []Key {
		return slices.Concat(doneKeys(), aliases(), otherKeys(), foreignKeys())
	})
	doneKeys = sync.OnceValue(makeDoneKeys)
)

// rows makes keys of examples, which are separated by spaces.
func rows(from string, state KeyState, why, examples string) []Key {
	var list []Key
	for example := range strings.FieldsSeq(examples) {
		name, _, _ := strings.Cut(example, "=")
		list = append(list, Key{Name: name, State: state, Why: why, From: from, Example: strings.ReplaceAll(example, "*", "x")})
	}
	return list
}

// quiet is rows of keys that ask for nothing with some values.
func quiet(values string, list []Key) []Key {
	for i := range list {
		list[i].Quiet = values
	}
	return list
}

// makeDoneKeys makes those that nodisk acts on.
func makeDoneKeys() []Key {
	done := func(from, examples string) []Key { return rows(from, KeyDone, "", examples) }
	return slices.Concat(
		done(byKernel, "root=LABEL=a nfsroot=10.0.0.1:/srv ip=dhcp"),
		done(byTools, "rootfstype=ext4 rootflags=noatime ro rw init=/sbin/init BOOTIF=01-52-54-00-12-34-56 boot=nfs"),
		done(byDracut, `netroot=dhcp iscsiroot=10.0.0.1::::iqn.2026-01.org.example:a bond=bond0:eth0 vlan=vlan5:eth0 bridge=br0:eth0 ifname=lan0:52:54:00:12:34:56 nameserver=10.0.0.1
			rd.route=10.1.0.0/16:10.0.0.1 rd.neednet=1 bootdev=eth0 rd.bootif=1 rd.peerdns=0
			rd.net.timeout.carrier=10 rd.net.timeout.dhcp=10 rd.net.timeout.ipv6auto=10 rd.net.timeout.ipv6dad=10 rd.net.dhcp.retry=3 rd.net.dhcp.vendor-class=a
			rd.driver.blacklist=a rd.driver.pre=a rd.driver.post=a
			rd.iscsi.initiator=iqn.2026-01.org.example:n7 rd.iscsi.target.name=iqn.2026-01.org.example:a
			rd.iscsi.target.ip=10.0.0.1 rd.iscsi.target.port=3260 rd.iscsi.firmware=1 rd.iscsi.ibft=1
			rd.shell=1 rd.emergency=reboot rd.retry=60 rd.break=mount net.ifnames=0`),
		done(byUdev, "net.naming_scheme=v252 net.ifname_policy=keep,path"),
		done(byNM, "rd.net.dhcp.client-id=eth0:01-52-54-00-12-34-56 rd.net.dns=10.0.0.53"),
		done("", `ib.pkey=ib0.8001 modprobe.blacklist=a module_blacklist=a
			nodisk.arp-probe=0 nodisk.modules=a nodisk.profile=ib nodisk.load=serial nodisk.chain=/init.vendor
			nodisk.onfail=reboot nodisk.deadline=5m nodisk.log=debug nodisk.dhcp.clientid=mac nodisk.dhcp.user-class=a
			nodisk.hostname=n7 nodisk.ifnames=kernel nodisk.ib.mode=datagram nodisk.ib.port=1 nodisk.mlx4.port_type=ib`),
	)
}

// aliases are other names of keys.
func aliases() []Key {
	as := func(from, as, example string) Key {
		k := rows(from, KeyDone, "", example)[0]
		k.As = as
		return k
	}
	list := []Key{
		as(byKernel, "ip", "nfsaddrs=dhcp"),
		as(byTools, "modprobe.blacklist", "blacklist=a"),
		as(bySystemd, "rd.driver.pre", "rd.modules_load=a"),
		as(byOpenISCSI, "rd.iscsi.ibft", "iscsi_auto"),
		as(byDracut, "rd.iscsi.firmware", "iscsi_firmware=1"),
		as(byOpenISCSI, "rd.iscsi.initiator", "iscsi_initiator=iqn.2026-01.org.example:n7"),
		as(byOpenISCSI, "rd.iscsi.target.name", "iscsi_target_name=iqn.2026-01.org.example:a"),
		as(byOpenISCSI, "rd.iscsi.target.ip", "iscsi_target_ip=10.0.0.1"),
		as(byOpenISCSI, "rd.iscsi.target.port", "iscsi_target_port=3260"),
		as(byOpenISCSI, "rd.iscsi.target.group", "iscsi_target_group=1"),
	}
	for _, name := range []string{"username", "password", "in_username", "in_password"} {
		k := as(byOpenISCSI, "rd.iscsi."+strings.ReplaceAll(name, "_", "."), "iscsi_"+name+"=a")
		k.State, k.Why = KeyRefused, noCHAP
		list = append(list, k)
	}
	return list
}

const noCHAP = "asks for CHAP, which is not built yet: leave it out and restrict the target by initiator name or address"

// otherKeys are those about which there is something to say.
func otherKeys() []Key {
	instead := func(from, why, examples string) []Key { return rows(from, KeyInstead, why, examples) }
	spare := func(from, why, examples string) []Key { return rows(from, KeyNotNeeded, why, examples) }
	const off = "0 no off false"
	return slices.Concat(
		rows(byDracut, KeyRefused, noCHAP, "rd.iscsi.username=a rd.iscsi.password=a rd.iscsi.in.username=a rd.iscsi.in.password=a"),
		rows(byDracut, KeyRefused, "team devices need a daemon that nodisk does not have: write bond= with the same ports", "team=team0:eth0,eth1"),

		rows("", KeyLater, "", "nodisk.syslog=udp://10.0.0.1 nodisk.report=http://10.0.0.1 nodisk.mount=10.0.0.1:/usr:/usr"),
		rows(byDracut, KeyLater, "", `rd.overlay rd.overlay.* rd.systemd.pull=tar:root:http://10.0.0.1/root.tar rd.iscsi.param=a
			rd.live.* rd.writable.fsimg=1 rd.minmem=1024 rd.noverifyssl`),

		quiet("disabled", rows(byLive, KeyLater, "", "overlayroot=tmpfs")),
		rows(byImages, KeyLater, "", `imgurl=http://10.0.0.1/rootimg.gz wwinit.uri=http://10.0.0.1:9873/provision inst.repo=http://10.0.0.1/os
			inst.stage2=http://10.0.0.1/os inst.ks=http://10.0.0.1/ks coreos.live.rootfs_url=http://10.0.0.1/rootfs.img archiso_http_srv=http://10.0.0.1/`),

		instead("", "write nodisk.deadline=", "nodisk.timeout=60"),
		instead("", "write nodisk.onfail=shell", "nodisk.shell"),
		instead(byNM, "nodisk leaves the speed of a link to its two ends", "rd.ethtool=eth0:off:1000"),
		instead(byNM, "nodisk sends DHCP as all else, without a DSCP", "rd.net.dhcp.dscp=CS4"),
		instead(byHabit, "write rd.iscsi.target.name= and rd.iscsi.target.ip=, or netroot=iscsi:...", "iscsi_target=a rd.iscsi.target=a"),
		instead(byHabit, "write rd.iscsi.target.ip= and rd.iscsi.target.port=", "iscsi_portal=10.0.0.1 rd.iscsi.portal=10.0.0.1"),
		instead(byKickstart, "write ip=CLIENT::GATEWAY:NETMASK:HOSTNAME:DEVICE:none", "ipaddr=10.0.0.5 ip4=10.0.0.5 netmask=255.255.255.0 gateway=10.0.0.1"),
		instead(byKickstart, "write nameserver=", "dns=10.0.0.53"),
		instead(byLive, "write the options after the path: nfsroot=SERVER:/PATH,OPTIONS", "nfsopts=vers=3"),
		instead(byHabit, "write root=iscsi:... or root=nfs:SERVER:/PATH; root=dhcp takes it from DHCP", "rootpath=10.0.0.1:/srv"),
		instead(byHabit, "write bond=NAME:PORTS:OPTIONS", "bonding=bond0:eth0,eth1"),
		instead(byKernel, "write nodisk.log=debug", "nfsrootdebug"),
		instead(byDracut, "write nodisk.log=debug", "rd.debug rd.memdebug=3"),
		quiet(off, instead(byDracut, "nodisk assembles no volumes", "rd.auto")),
		quiet("0", instead(byDracut, "write nodisk.deadline=", "rd.timeout=60")),
		quiet("tcp", instead(byDracut, "nodisk attaches by TCP, as iscsi_tcp does", "rd.iscsi.transport=bnx2i")),
		instead(byDracut, "there is one root; write nodisk.onfail= for what happens without it", "rootfallback=/dev/sdb1"),
		instead(byDracut, "nodisk asks nobody: write the words themselves", "rd.cmdline=ask"),
		instead(byDracut, "nodisk has no root in an image on a disk", "iso-scan/filename=a.iso"),
		quiet(off, instead(byDracut, "nodisk attaches no disk by FCoE", "rd.fcoe fcoe=edd:dcb")),
		instead(byDracut, "nodisk attaches no disk by NVMe over Fabrics", "rd.nvmf.*"),
		instead(byDracut, "nodisk mounts no CIFS share", "cifsuser=a cifspass=a"),
		instead(byTools, "write rd.break=STAGE", "break=premount"),
		quiet("off none", instead(byTools, "write ip=DEV:dhcp6 or ip=DEV:auto6 besides the ip= of IPv4", "ip6=dhcp")),

		spare(byTools, "nodisk waits for the root in any case", "rootdelay=5 rootwait"),
		spare(byDracut, "logins are tried until nodisk.deadline=", "rd.iscsi.login_retry_max=5"),
		spare(byDracut, "the network is waited for in any case", "rd.iscsi.waitnet=0"),
		spare(byDracut, "a login that finds no way says so", "rd.iscsi.testroute=0"),
		spare(byDracut, "the target tells its portal group at the login", "rd.iscsi.target.group=1"),
		spare(byDracut, "all targets of the iBFT are attached in any case", "rd.iscsi.mp=1"),
		spare(byDracut, "nodisk waits as long as it takes, or nodisk.deadline= says",
			"rd.net.timeout.iflink=60 rd.net.timeout.ifup=60 rd.net.timeout.route=60"),
		spare(byDracut, "nodisk.log=info is the default", "rd.info"),
		spare(byDracut, "an image is not of one host", "rd.hostonly=0"),
		spare(byNM, "nodisk asks the name servers of nameserver=, then those of DHCP", "rd.net.dns-backend=dnsmasq rd.net.dns-resolve-mode=prefer"),
		spare(bySystemd, "systemd of the root loads them; write rd.driver.pre= for one that nodisk is to load", "modules_load=a"),
		spare(byDracut, "nodisk does not read the root's fstab, nor check file systems", "rd.fstab=0 rd.skipfsck"),
		spare(byDracut, "the root has its own modules", "rd.driver.export"),
		spare(byDracut, "NFS sends users as numbers before the root has its own idmapd", "rd.nfs.domain=example.org"),
		spare(byDracut, "a shell is on the console", "rd.ctty=/dev/tty1"),
		spare(byDracut, "nodisk looks for none of these", "rd.nonvmf rd.nvmf.nonbft rd.nvmf.nostatic"),
		spare(byTools, "nodisk does not clear the screen; /run may have a fifth of the memory", "initramfs.clear initramfs.runsize=10%"),
	)
}

// foreignKeys are for the kernel, for udev and systemd, or for volumes and devices
// that nodisk does not touch. A root that needs one of them is told by its own word.
func foreignKeys() []Key {
	pass := func(from, why, examples string) []Key { return rows(from, KeyForeign, why, examples) }
	return slices.Concat(
		pass(byKernel, "the kernel's", "rdinit=/init"),
		pass(byTools, "the kernel's", "quiet debug panic=10 netconsole=a all_generic_ide"),
		pass(byTools, "of the root's system", "resume=/dev/sda2 resume_offset=0 noresume fsck.*"),
		pass(byDracut, "LVM", "rd.lvm rd.lvm.*"),
		pass(byDracut, "encrypted volumes", "rd.luks rd.luks.* masterkey=a masterkeytype=trusted evmkey=a evmx509=a ecryptfskey=a"),
		pass(byDracut, "software RAID", "rd.md rd.md.* rd_MD_UUID=a rd_NO_MD rd_NO_MDADMCONF rd_NO_MDIMSM rd_NO_MDDDF"),
		pass(byDracut, "device-mapper and multipath", "rd.dm rd.dm.* rd_NO_DM rd.multipath rd.lunmask=a"),
		pass(byDracut, "FIPS mode", "fips=1 rd.fips rd.fips.*"),
		pass(byDracut, "devices of s390", "rd.dasd=a rd.zfcp=a rd.zfcp.* rd.znet=a rd.znet_ifname=a rd.zipl=a rd.cio_accept=a rd.dcssblk=a"),
		pass(byDracut, "udev and systemd", "rd.udev.* rdudevdebug rdudevinfo rd.systemd.* biosdevname=0"),
		pass(byDracut, "plymouth", "rd.plymouth plymouth.*"),
		pass(byDracut, "keyboard and language", `rd.vconsole.* rd.locale.* vconsole.* KEYMAP=de KEYTABLE=de SYSFONT=a CONTRANS=a
			UNIMAP=a UNICODE=1 EXT_KEYMAP=a`),
		pass(byDracut, "of the root's system", "rd.shutdown.* rd.caps rd.caps.* rd.convertfs"),
	)
}
