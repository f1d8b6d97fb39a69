package rootfs

import (
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// laterForm names what a value of root= stands for when it is in the grammar
// but not built yet.
func laterForm(value string) string {
	scheme, _, ok := strings.Cut(value, ":")
	switch {
	case value == "wwinit": // Warewulf's: the image is at wwinit.uri=
		return "an image over HTTP"
	case !ok:
	case scheme == "live" || scheme == "squash":
		return "an image"
	case scheme == "http" || scheme == "https" || scheme == "ftp":
		return "an image over HTTP"
	case scheme == "tftp":
		return "an image over TFTP"
	}
	return ""
}

// ImageKeys name the image of the root in the words of xCAT, Warewulf, anaconda, CoreOS,
// Arch and live systems, whose command lines need no root=.
func ImageKeys() []cmdline.Key {
	return cmdline.KeyRows(
		cmdline.ByImages,
		cmdline.KeyLater,
		"",
		`imgurl=http://10.0.0.1/rootimg.gz wwinit.uri=http://10.0.0.1:9873/provision
		coreos.live.rootfs_url=http://10.0.0.1/rootfs.img inst.stage2=http://10.0.0.1/os inst.repo=http://10.0.0.1/os
		inst.ks=http://10.0.0.1/ks archiso_http_srv=http://10.0.0.1/`,
	)
}

// elsewhere are the schemes of roots that other initramfs have and nodisk does not: of
// dracut.cmdline(7), systemd's and of live systems.
func elsewhere() map[string]string {
	return map[string]string{
		"cifs":     "a CIFS share",
		"smb":      "a CIFS share",
		"nbd":      "a network block device (NBD)",
		"virtiofs": "a virtiofs share",
		"9p":       "a 9p share",
		"nvme":     "a namespace of NVMe over Fabrics",
		"nvmf":     "a namespace of NVMe over Fabrics",
		"fcoe":     "a disk by FCoE",
		"aoe":      "a disk by AoE",
		"rbd":      "a Ceph block device",
		"ceph":     "a Ceph file system",
		"s3":       "an object store",
		"bind":     "a directory that something else has filled",
		"iser":     "a disk by iSER",
		"overlay":  "an overlay",
		"zfs":      "a ZFS dataset",
		"mtd":      "a flash device",
		"ubi":      "a flash volume",
	}
}

// foreign says what is wrong with a root of a scheme that nodisk does not have, and what to write
// instead; empty if the value has no scheme. A scheme is a word without dots, before "://" or one
// that is known: nfs-server:/srv and 10.0.0.1://srv are NFS servers. ParseNFS reads nfs://.
func foreign(value string) (problem, fix string) {
	scheme, rest, ok := strings.Cut(value, ":")
	what := elsewhere()[scheme]
	url := strings.HasPrefix(rest, "//")
	switch {
	case !ok || !isScheme(scheme) || !url && what == "" || scheme == "nfs" || scheme == "nfs4":
		return "", ""
	case scheme == "iscsi":
		return "is a URL, of which iSCSI has none here", "write iscsi:SERVER:PROTO:PORT:LUN:TARGET, of which most " +
			"may be empty: iscsi:10.0.0.1::::iqn.2026-01.org.example:root"
	case scheme == "iser":
		return "asks for iSER, which is not there", "write iscsi:" + strings.TrimPrefix(
			rest,
			"//",
		) + " (iSCSI over TCP)"
	case what == "":
		return scheme + ": is not a kind of root that nodisk knows", forms
	case !url && strings.HasPrefix(rest, "/"):
		return "asks for " + what + ", which nodisk does not have", "write nfs:" + value + " if that is an NFS " +
			"server called " + scheme + ", else " + strings.TrimPrefix(
			forms,
			"write ",
		)
	default:
		return "asks for " + what + ", which nodisk does not have", forms
	}
}

// isScheme follows RFC 3986 section 3.1, without the dot, which host names have.
func isScheme(s string) bool {
	letter := func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
	odd := func(r rune) bool { return !isAlphanumeric(r) && r != '+' && r != '-' }
	return s != "" && (letter(s[0]) || s == "9p") && !strings.ContainsFunc(s, odd)
}
