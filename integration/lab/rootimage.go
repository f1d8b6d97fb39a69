package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/nodisk/nodisk/integration/tool"
)

// What the lab's root is called, for LABEL= and UUID= on the command line.
const (
	RootLabel = "nodisk-root"
	RootUUID  = "6e6f6469-736b-4c61-b000-726f6f740001"
)

// Marker is the line by which the root says that its /sbin/init runs. It goes
// to /dev/kmsg first, so that the kernel stamps it with guest time.
const Marker = "nodisk-root: reached"

// LinksWord on the kernel command line makes the root's /sbin/init tell all
// about the node's links. IOWord=N makes it read and write its disk until the
// ports of bond0 have lost a link N times, and all have one again. ReadWord=N makes
// it read N MiB of its disk, past the cache. BulkWord=N makes it write a file of N
// MiB, and read it again from where it is.
const (
	LinksWord = "lab.links"
	IOWord    = "lab.io"
	ReadWord  = "lab.read"
	BulkWord  = "lab.bulk"
)

// rootDiskSize is sparse: mke2fs writes about 3 MB.
const rootDiskSize = "16M"

// initScript is the root's /sbin/init. It says that it was reached, tells what
// a test wants to know of the system it was given, and switches off.
const initScript = `#!/bin/busybox sh
echo "<1>` + Marker + `" >/dev/kmsg
b=/bin/busybox
exec </dev/console >/dev/console 2>&1
say() { echo "nodisk-root: $*"; }
# All about the links, one a line: "link NAME WORD=VALUE ...".
links() {
	for dev in /sys/class/net/*; do
		dev=${dev##*/}
		d=/sys/class/net/$dev
		[ -d $d ] && [ "$dev" != lo ] || continue # bonding_masters is a file
		master=$($b readlink $d/master)
		read -r up <$d/operstate
		read -r flags <$d/flags
		read -r mtu <$d/mtu
		read -r addr <$d/address
		read -r ifindex <$d/ifindex
		read -r iflink <$d/iflink
		read -r port <$d/dev_port
		say "link $dev flags=$flags state=$up mtu=$mtu addr=$addr index=$ifindex lower=$iflink dev_port=$port master=${master##*/}"
		[ -d $d/bonding ] || continue
		for f in $d/bonding/*; do
			read -r v <$f && say "bonding $dev ${f##*/}=$v"
			v=
		done
	done
	[ -r /proc/net/vlan/config ] && $b awk '/\|/ { print "nodisk-root: vlan", $1, $3, $5 }' /proc/net/vlan/config
	$b ip -o -6 addr | $b awk '$2 != "lo" { print "nodisk-root: net6", $2, $4, $6 }'
	$b ip -6 route | $b awk '/^default/ { print "nodisk-root: route6", $0 }'
	$b ip route | $b awk '{ print "nodisk-root: route4", $0 }'
}
# io LOSSES: reads and writes the root until a port of bond0 has lost its link
# so often, and all have one again. A line is written when three rounds have
# passed without a change.
io() {
	losses=0 round=0 same=0 was= end=
	while [ $round -lt 900 ] && [ -z "$end" ]; do
		round=$((round + 1))
		read -r before rest </proc/uptime
		$b dd if=/dev/urandom of=/.io bs=64k count=4 conv=fsync 2>/dev/null || say io error writing
		sum=$($b md5sum </.io) || say io error reading
		echo 3 >/proc/sys/vm/drop_caches
		[ "$($b md5sum </.io)" = "$sum" ] || say io error: it differs
		read -r after rest </proc/uptime
		echo "$before $after" | $b awk '$2 - $1 > 0.5 { print "nodisk-root: io took", $2 - $1, "s until", $2 }'
		ports=$($b cat /sys/class/net/bond0/lower_*/bonding_slave/mii_status | $b tr '\n' ' ')
		same=$((same + 1))
		if [ "$ports" != "$was" ]; then
			case $ports in *down*) losses=$((losses + 1)) ;; esac
			was=$ports same=0
		fi
		[ $same = 3 ] || continue
		say "io ${ports}losses $losses"
		case $ports in *down*) ;; *) [ $losses -lt "$1" ] || end=1 ;; esac
	done
	say "io done $losses losses in $round rounds"
	$b rm /.io
}
# reads MIB: reads the disk below the root, which does not change, until it is so much.
reads() {
	disk=$2 mib=0 sum=
	size=$($b cat /sys/class/block/${disk##*/}/size)
	read -r before rest </proc/uptime
	while [ $mib -lt "$1" ]; do
		echo 3 >/proc/sys/vm/drop_caches
		now=$($b md5sum <"$disk") || say read error
		[ "${sum:=$now}" = "$now" ] || say read error: it differs
		mib=$((mib + size / 2048))
		say "read $mib MiB"
	done
	read -r after rest </proc/uptime
	say "read done $mib MiB $(echo "$before $after" | $b awk '{ print $2 - $1 }') s"
}
bulk() {
	# The file in memory is the measure: what is read comes from the root.
	$b mount -t tmpfs bulk /mnt && $b dd if=/dev/urandom of=/mnt/bulk bs=1M count="$1" 2>/dev/null
	read -r before rest </proc/uptime
	$b dd if=/mnt/bulk of=/.bulk bs=1M conv=fsync 2>/dev/null || say bulk error writing
	read -r between rest </proc/uptime
	echo 3 >/proc/sys/vm/drop_caches
	$b cmp /mnt/bulk /.bulk || say bulk error: it differs
	read -r after rest </proc/uptime
	echo "$1 $before $between $after" | $b awk '{ print "nodisk-root: bulk", $1, "MiB, written in", $3 - $2, "s, read in", $4 - $3, "s" }'
	$b rm /.bulk
}
say reached
[ -r /proc/mounts ] || $b mount -t proc proc /proc
while read -r dev dir type opts rest; do
	[ "$dir" = / ] && root="$type $dev $opts"
	case $dir in /dev | /proc | /sys | /run) moved="$moved $dir:$type" ;; esac
done </proc/mounts
say "root $root"
set -- $root
# The volume's name is 16 bytes in the superblock (ext4(5), s_volume_name).
[ "$1" != ext4 ] || say "label $($b dd if="$2" bs=1 skip=1144 count=16 2>/dev/null | $b tr -d '\0')"
say "moved$moved"
say "cmdline $($b cat /proc/cmdline)"
say "disks $(cd /sys/block && echo sd*)"
for s in /sys/class/iscsi_session/session*; do
	[ -d "$s" ] && say "session $($b cat $s/targetname) $($b cat $s/state) $($b cat $s/recovery_tmo)"
done
say "memory $($b awk '/^MemTotal/ { t = $2 } /^MemAvailable/ { a = $2 } END { print t, t - a }' /proc/meminfo)"
say "files $(cd / && echo *)"
say "hostname $($b hostname)"
for dev in /sys/class/net/*; do
	dev=${dev##*/}
	[ "$dev" = lo ] || [ -f "/sys/class/net/$dev" ] || say "net $dev $($b ip -o -4 addr show dev "$dev" | $b awk '{ print $4 }')"
done
say "route $($b ip route | $b awk '/^default/ { print $3 }')"
[ -r /etc/resolv.conf ] && say "resolv $($b tr '\n' ' ' </etc/resolv.conf)"
[ -r /run/initiatorname.iscsi ] && say "initiator $($b cat /run/initiatorname.iscsi)"
if (: >/.written) 2>/dev/null; then say "writable yes" && $b rm -f /.written; else say "writable no"; fi
say "taint $($b cat /proc/sys/kernel/tainted)"
case " $($b cat /proc/cmdline) " in *" ` + LinksWord + ` "*) links ;; esac
for word in $($b cat /proc/cmdline); do
	case $word in
	` + IOWord + `=*) io ${word#*=} ;;
	` + ReadWord + `=*) reads ${word#*=} "$2" ;;
	` + BulkWord + `=*) bulk ${word#*=} ;;
	esac
done
say done
$b poweroff -f
`

// RootTree writes a system of about 2 MB below dir: a static busybox and an
// /sbin/init that says [Marker], reports what it finds and switches the machine
// off. The directory may exist; files of the same name are replaced.
func RootTree(dir string) error {
	busybox, err := tool.StaticBusybox()
	if err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	for _, d := range []string{"bin", "sbin", "etc", "dev", "proc", "sys", "run", "tmp", "root", "mnt"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return fmt.Errorf("make root: %w", err)
		}
	}
	if err := copyFile(busybox, filepath.Join(dir, "bin/busybox"), 0o755); err != nil {
		return fmt.Errorf("make root: %w", err)
	}
	// A relative link, so that the tree can be looked at from outside.
	if err := os.Symlink("busybox", filepath.Join(dir, "bin/sh")); err != nil && !errors.Is(err, os.ErrExist) {
		return fmt.Errorf("make root: %w", err)
	}
	files := []struct {
		name, text string
		mode       os.FileMode
	}{
		{"sbin/init", initScript, 0o755},
		{"etc/os-release", "ID=nodisk-lab\nPRETTY_NAME=\"The root of nodisk's lab\"\n", 0o644},
		{"etc/hostname", "unnamed\n", 0o644},
		{"etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0o644},
	}
	for _, f := range files {
		if err := os.WriteFile(filepath.Join(dir, f.name), []byte(f.text), f.mode); err != nil {
			return fmt.Errorf("make root: %w", err)
		}
	}
	return nil
}

// AddFlags writes the same tree to dir and returns the flags of nodisk build
// that put it into an image, for a node whose root is its initramfs.
func AddFlags(dir string) ([]string, error) {
	if err := RootTree(dir); err != nil {
		return nil, err
	}
	return []string{"--add", dir + ":/"}, nil
}

// RootDisk makes an ext4 image with [RootLabel] and [RootUUID] from a tree.
func RootDisk(ctx context.Context, tree, image string) error {
	return rootDisk(ctx, tree, image, rootDiskSize)
}

func rootDisk(ctx context.Context, tree, image, size string) error {
	err := tool.Mke2fs().Run(ctx, "-q", "-F", "-t", "ext4", "-m", "0", "-L", RootLabel, "-U", RootUUID,
		"-E", "root_owner=0:0", "-d", tree, image, size)
	if err != nil {
		return fmt.Errorf("make root disk: %w", err)
	}
	return nil
}

func copyFile(from, to string, mode os.FileMode) (err error) {
	src, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copy file: %w", err)
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, mode)
	if err != nil {
		return fmt.Errorf("copy file: %w", err)
	}
	defer func() {
		if cerr := dst.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("copy file: %w", cerr)
		}
	}()
	if _, err := io.Copy(dst, src); err != nil {
		return fmt.Errorf("copy file: %w", err)
	}
	return nil
}
