package plan

import (
	"slices"
	"strings"
	"sync"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

// Keys returns all keys that are known, each of them listed once, where it is read: nodisk's own
// and those of the kernel's nfsroot.rst, dracut.cmdline(7) up to dracut 111, initramfs-tools(7),
// open-iscsi's README.Debian, nm-initrd-generator(8) and kernel-command-line(7), and what klibc,
// casper, live-boot and tools that install nodes have besides. docs/cmdline.md is written by the
// same table; see TestKeys. It is one for all callers, who must not change it.
func Keys() []cmdline.Key { return allKeys() }

// allKeys is made once: "nodisk pxe" judges a command line for each of its nodes.
var allKeys = sync.OnceValue(func() []cmdline.Key {
	return slices.Concat(bootKeys(), netsetup.Keys(), rootfs.ImageKeys(), aliases(), otherKeys(), foreignKeys())
})

// bootKeys are those that nodisk acts on, except for those of the network and of images.
func bootKeys() []cmdline.Key {
	done := func(from, examples string) []cmdline.Key { return cmdline.KeyRows(from, cmdline.KeyDone, "", examples) }
	return slices.Concat(
		done(cmdline.ByKernel, "root=LABEL=a nfsroot=10.0.0.1:/srv"),
		done(cmdline.ByTools, "rootfstype=ext4 rootflags=noatime ro rw init=/sbin/init boot=nfs"),
		done(cmdline.ByDracut, `netroot=dhcp iscsiroot=10.0.0.1::::iqn.2026-01.org.example:a
			rd.driver.blacklist=a rd.driver.pre=a rd.driver.post=a
			rd.iscsi.initiator=iqn.2026-01.org.example:n7 rd.iscsi.target.name=iqn.2026-01.org.example:a
			rd.iscsi.target.ip=10.0.0.1 rd.iscsi.target.port=3260 rd.iscsi.firmware=1 rd.iscsi.ibft=1
			rd.shell=1 rd.emergency=reboot rd.retry=60 rd.break=mount`),
		done("", `modprobe.blacklist=a module_blacklist=a
			nodisk.modules=a nodisk.profile=ib nodisk.load=serial nodisk.chain=/init.vendor
			nodisk.onfail=reboot nodisk.deadline=5m nodisk.log=debug nodisk.mlx4.port_type=ib`),
	)
}

// aliases are other names of keys.
func aliases() []cmdline.Key {
	as := func(from, as, example string) cmdline.Key {
		k := cmdline.KeyRows(from, cmdline.KeyDone, "", example)[0]
		k.As = as
		return k
	}
	list := []cmdline.Key{
		as(cmdline.ByKernel, "ip", "nfsaddrs=dhcp"),
		as(cmdline.ByTools, "modprobe.blacklist", "blacklist=a"),
		as(cmdline.BySystemd, "rd.driver.pre", "rd.modules_load=a"),
		as(cmdline.ByOpenISCSI, "rd.iscsi.ibft", "iscsi_auto"),
		as(cmdline.ByDracut, "rd.iscsi.firmware", "iscsi_firmware=1"),
		as(cmdline.ByOpenISCSI, "rd.iscsi.initiator", "iscsi_initiator=iqn.2026-01.org.example:n7"),
		as(cmdline.ByOpenISCSI, "rd.iscsi.target.name", "iscsi_target_name=iqn.2026-01.org.example:a"),
		as(cmdline.ByOpenISCSI, "rd.iscsi.target.ip", "iscsi_target_ip=10.0.0.1"),
		as(cmdline.ByOpenISCSI, "rd.iscsi.target.port", "iscsi_target_port=3260"),
		as(cmdline.ByOpenISCSI, "rd.iscsi.target.group", "iscsi_target_group=1"),
	}
	for _, name := range []string{"username", "password", "in_username", "in_password"} {
		k := as(cmdline.ByOpenISCSI, "rd.iscsi."+strings.ReplaceAll(name, "_", "."), "iscsi_"+name+"=a")
		k.State, k.Why = cmdline.KeyRefused, noCHAP
		list = append(list, k)
	}
	return list
}

const noCHAP = "asks for CHAP, which is not built yet: leave it out and restrict the target by initiator " +
	"name or address"

// otherKeys are those about which there is something to say.
func otherKeys() []cmdline.Key {
	instead := func(from, why, examples string) []cmdline.Key {
		return cmdline.KeyRows(from, cmdline.KeyInstead, why, examples)
	}
	spare := func(from, why, examples string) []cmdline.Key {
		return cmdline.KeyRows(from, cmdline.KeyNotNeeded, why, examples)
	}
	const off = "0 no off false"
	return slices.Concat(
		cmdline.KeyRows(
			cmdline.ByDracut,
			cmdline.KeyRefused,
			noCHAP,
			"rd.iscsi.username=a rd.iscsi.password=a rd.iscsi.in.username=a rd.iscsi.in.password=a",
		),
		cmdline.KeyRows(
			"",
			cmdline.KeyLater,
			"",
			"nodisk.syslog=udp://10.0.0.1 nodisk.report=http://10.0.0.1 nodisk.mount=10.0.0.1:/usr:/usr",
		),
		cmdline.KeyRows(
			cmdline.ByDracut,
			cmdline.KeyLater,
			"",
			`rd.overlay rd.overlay.* rd.systemd.pull=tar:root:http://10.0.0.1/root.tar rd.iscsi.param=a
			rd.live.* rd.writable.fsimg=1 rd.minmem=1024 rd.noverifyssl`,
		),
		cmdline.QuietKeys("disabled", cmdline.KeyRows(cmdline.ByLive, cmdline.KeyLater, "", "overlayroot=tmpfs")),
		instead("", "write nodisk.deadline=", "nodisk.timeout=60"),
		instead("", "write nodisk.onfail=shell", "nodisk.shell"),
		instead(cmdline.ByNM, "nodisk leaves the speed of a link to its two ends", "rd.ethtool=eth0:off:1000"),
		instead(cmdline.ByNM, "nodisk sends DHCP as all else, without a DSCP", "rd.net.dhcp.dscp=CS4"),
		instead(
			cmdline.ByHabit,
			"write rd.iscsi.target.name= and rd.iscsi.target.ip=, or netroot=iscsi:...",
			"iscsi_target=a rd.iscsi.target=a",
		),
		instead(
			cmdline.ByHabit,
			"write rd.iscsi.target.ip= and rd.iscsi.target.port=",
			"iscsi_portal=10.0.0.1 rd.iscsi.portal=10.0.0.1",
		),
		instead(
			cmdline.ByKickstart,
			"write ip=CLIENT::GATEWAY:NETMASK:HOSTNAME:DEVICE:none",
			"ipaddr=10.0.0.5 ip4=10.0.0.5 netmask=255.255.255.0 gateway=10.0.0.1",
		),
		instead(cmdline.ByKickstart, "write nameserver=", "dns=10.0.0.53"),
		instead(cmdline.ByLive, "write the options after the path: nfsroot=SERVER:/PATH,OPTIONS", "nfsopts=vers=3"),
		instead(
			cmdline.ByHabit,
			"write root=iscsi:... or root=nfs:SERVER:/PATH; root=dhcp takes it from DHCP",
			"rootpath=10.0.0.1:/srv",
		),
		instead(cmdline.ByHabit, "write bond=NAME:PORTS:OPTIONS", "bonding=bond0:eth0,eth1"),
		instead(cmdline.ByKernel, "write nodisk.log=debug", "nfsrootdebug"),
		instead(cmdline.ByDracut, "write nodisk.log=debug", "rd.debug rd.memdebug=3"),
		cmdline.QuietKeys(off, instead(cmdline.ByDracut, "nodisk assembles no volumes", "rd.auto")),
		cmdline.QuietKeys("0", instead(cmdline.ByDracut, "write nodisk.deadline=", "rd.timeout=60")),
		cmdline.QuietKeys(
			"tcp",
			instead(cmdline.ByDracut, "nodisk attaches by TCP, as iscsi_tcp does", "rd.iscsi.transport=bnx2i"),
		),
		instead(
			cmdline.ByDracut,
			"there is one root; write nodisk.onfail= for what happens without it",
			"rootfallback=/dev/sdb1",
		),
		instead(cmdline.ByDracut, "nodisk asks nobody: write the words themselves", "rd.cmdline=ask"),
		instead(cmdline.ByDracut, "nodisk has no root in an image on a disk", "iso-scan/filename=a.iso"),
		cmdline.QuietKeys(off, instead(cmdline.ByDracut, "nodisk attaches no disk by FCoE", "rd.fcoe fcoe=edd:dcb")),
		instead(cmdline.ByDracut, "nodisk attaches no disk by NVMe over Fabrics", "rd.nvmf.*"),
		instead(cmdline.ByDracut, "nodisk mounts no CIFS share", "cifsuser=a cifspass=a"),
		instead(cmdline.ByTools, "write rd.break=STAGE", "break=premount"),
		cmdline.QuietKeys(
			"off none",
			instead(cmdline.ByTools, "write ip=DEV:dhcp6 or ip=DEV:auto6 besides the ip= of IPv4", "ip6=dhcp"),
		),
		spare(cmdline.ByTools, "nodisk waits for the root in any case", "rootdelay=5 rootwait"),
		spare(cmdline.ByDracut, "logins are tried until nodisk.deadline=", "rd.iscsi.login_retry_max=5"),
		spare(cmdline.ByDracut, "the network is waited for in any case", "rd.iscsi.waitnet=0"),
		spare(cmdline.ByDracut, "a login that finds no way says so", "rd.iscsi.testroute=0"),
		spare(cmdline.ByDracut, "the target tells its portal group at the login", "rd.iscsi.target.group=1"),
		spare(cmdline.ByDracut, "all targets of the iBFT are attached in any case", "rd.iscsi.mp=1"),
		spare(cmdline.ByDracut, "nodisk waits as long as it takes, or nodisk.deadline= says",
			"rd.net.timeout.iflink=60 rd.net.timeout.ifup=60 rd.net.timeout.route=60"),
		spare(cmdline.ByDracut, "nodisk.log=info is the default", "rd.info"),
		spare(cmdline.ByDracut, "an image is not of one host", "rd.hostonly=0"),
		spare(
			cmdline.ByNM,
			"nodisk asks the name servers of nameserver=, then those of DHCP",
			"rd.net.dns-backend=dnsmasq rd.net.dns-resolve-mode=prefer",
		),
		spare(
			cmdline.BySystemd,
			"systemd of the root loads them; write rd.driver.pre= for one that nodisk is to load",
			"modules_load=a",
		),
		spare(
			cmdline.ByDracut,
			"nodisk does not read the root's fstab, nor check file systems",
			"rd.fstab=0 rd.skipfsck",
		),
		spare(cmdline.ByDracut, "the root has its own modules", "rd.driver.export"),
		spare(
			cmdline.ByDracut,
			"NFS sends users as numbers before the root has its own idmapd",
			"rd.nfs.domain=example.org",
		),
		spare(cmdline.ByDracut, "a shell is on the console", "rd.ctty=/dev/tty1"),
		spare(cmdline.ByDracut, "nodisk looks for none of these", "rd.nonvmf rd.nvmf.nonbft rd.nvmf.nostatic"),
		spare(
			cmdline.ByTools,
			"nodisk does not clear the screen; /run may have a fifth of the memory",
			"initramfs.clear initramfs.runsize=10%",
		),
	)
}

// foreignKeys are for the kernel, for udev and systemd, or for volumes and devices that nodisk
// does not touch. A root that needs one of them is recognised by its own argument.
func foreignKeys() []cmdline.Key {
	pass := func(from, why, examples string) []cmdline.Key {
		return cmdline.KeyRows(from, cmdline.KeyForeign, why, examples)
	}
	return slices.Concat(
		pass(cmdline.ByKernel, "the kernel's", "rdinit=/init"),
		pass(cmdline.ByTools, "the kernel's", "quiet debug panic=10 netconsole=a all_generic_ide"),
		pass(cmdline.ByTools, "of the root's system", "resume=/dev/sda2 resume_offset=0 noresume fsck.*"),
		pass(cmdline.ByDracut, "LVM", "rd.lvm rd.lvm.*"),
		pass(
			cmdline.ByDracut,
			"encrypted volumes",
			"rd.luks rd.luks.* masterkey=a masterkeytype=trusted evmkey=a evmx509=a ecryptfskey=a",
		),
		pass(
			cmdline.ByDracut,
			"software RAID",
			"rd.md rd.md.* rd_MD_UUID=a rd_NO_MD rd_NO_MDADMCONF rd_NO_MDIMSM rd_NO_MDDDF",
		),
		pass(cmdline.ByDracut, "device-mapper and multipath", "rd.dm rd.dm.* rd_NO_DM rd.multipath rd.lunmask=a"),
		pass(cmdline.ByDracut, "FIPS mode", "fips=1 rd.fips rd.fips.*"),
		pass(
			cmdline.ByDracut,
			"devices of s390",
			"rd.dasd=a rd.zfcp=a rd.zfcp.* rd.znet=a rd.znet_ifname=a rd.zipl=a rd.cio_accept=a rd.dcssblk=a",
		),
		pass(cmdline.ByDracut, "udev and systemd", "rd.udev.* rdudevdebug rdudevinfo rd.systemd.* biosdevname=0"),
		pass(cmdline.ByDracut, "plymouth", "rd.plymouth plymouth.*"),
		pass(
			cmdline.ByDracut,
			"keyboard and language",
			`rd.vconsole.* rd.locale.* vconsole.* KEYMAP=de KEYTABLE=de SYSFONT=a CONTRANS=a
			UNIMAP=a UNICODE=1 EXT_KEYMAP=a`,
		),
		pass(cmdline.ByDracut, "of the root's system", "rd.shutdown.* rd.caps rd.caps.* rd.convertfs"),
	)
}
