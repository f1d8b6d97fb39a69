package integration

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// vendorScript is what a hand-made initramfs does: it tells what it finds.
const vendorScript = `#!/bin/sh
b=/bin/busybox
say() { echo "nodisk-root: $*"; }
say "before $($b cat /proc/mounts 2>/dev/null | $b awk '{ print $2 }' | $b tr '\n' ' ')"
$b mkdir -p /proc /sys /dev
$b mount -t proc proc /proc
$b mount -t sysfs sysfs /sys
$b mount -t devtmpfs devtmpfs /dev
echo "<1>` + lab.Marker + `" >/dev/kmsg
say "init $($b tr '\0' ' ' </proc/1/cmdline)"
say "modules $($b awk '{ print $1 }' /proc/modules | $b tr '\n' ' ')"
say "modprobe $($b cat /proc/sys/kernel/modprobe)"
say "net eth0 $($b ip -o -4 addr show dev eth0 | $b awk '{ print $4 }')"
say "route $($b ip route | $b awk '/^default/ { print $3 }')"
say "resolv $($b tr '\n' ' ' </etc/resolv.conf)"
$b poweroff -f
`

// dracutScript is a hook after the one that loads our drivers.
const dracutScript = `echo "<1>` + lab.Marker + `" >/dev/kmsg
echo "nodisk-root: init $(tr '\0' ' ' </proc/1/cmdline)" >/dev/console
echo "nodisk-root: modules $(while read -r name rest; do echo -n "$name "; done </proc/modules)" >/dev/console
echo o >/proc/sysrq-trigger
while :; do sleep 1; done
`

// Images that others made, with nodisk in them.
func TestBootBase(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootNFS3})
	busybox := busyboxBase(t)
	cases := []struct {
		bootCase
		vendor func(*testing.T) string
		flags  []string
		says   map[string]string // of what the vendor's init said, a part of the line
	}{
		{
			// Its /init is a hard link of busybox, and busybox an init by the name it is called.
			bootCase: bootCase{name: "chain", spec: lab.BootSpec{
				Cmdline: "ip=dhcp root=ZFS=pool rd.shell=perhaps rd.driver.pre=vendors_own calm", Root: lab.RootNone,
			}, expect: []string{byDHCP, `nodisk: switch \(4/4\): to /init.vendor of the initramfs`}},
			vendor: func(*testing.T) string { return busybox }, flags: []string{"--chain"},
			says: map[string]string{
				"before": "", "init": "init", "modules": "virtio_net", "modprobe": "/sbin/modprobe",
				"net": ".23/24", "route": "10.77.", "resolv": "nameserver 10.77.",
			},
		},
		{
			bootCase: bootCase{
				name: "hard-links", fs: "ext4", spec: lab.BootSpec{Root: lab.RootISCSI, Append: "nodisk.chain="},
				expect: []string{byDHCP, mounted},
			},
			vendor: func(*testing.T) string { return busybox }, flags: []string{"--chain"},
		},
		{
			bootCase: bootCase{
				name: "dracut", fs: "ext4", spec: lab.BootSpec{Root: lab.RootISCSI},
				expect: []string{byDHCP, mounted},
			},
			vendor: dracutBase,
		},
		{
			bootCase: bootCase{name: "dracut-drivers", spec: lab.BootSpec{
				Cmdline: "root=/dev/nowhere rd.shell=0", Root: lab.RootNone,
			}, expect: []string{`nodisk: drivers: virtio_`}},
			vendor: dracutBase, flags: []string{"--drivers-only"},
			says: map[string]string{"init": "/init", "modules": "virtio_net"},
		},
		{
			// Its own nfsmount, over drivers that only nodisk has.
			bootCase: bootCase{name: "initramfs-tools-drivers", fs: "nfs", spec: lab.BootSpec{
				Cmdline: "boot=nfs root=/dev/nfs nfsroot={server}:{export} ip=dhcp", Root: lab.RootNFS3,
			}, expect: []string{`nodisk: drivers: virtio_`}},
			vendor: initramfsToolsBase, flags: []string{"--drivers-only"},
		},
	}
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	lab := sharedLab(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := c.spec
			s.Name, s.Kernel, s.Memory, s.Timeout = c.name, kernel, 768, 4*time.Minute
			s.Image = buildImage(t, "virt,iscsi,ext4,nfs3", append(c.flags, "--base", c.vendor(t))...)
			s.Log = testLogFile("base-" + c.name)
			takePlace(t, busy)
			res, err := lab.Boot(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			if c.fs != "" {
				c.check(t, res)
				return
			}
			if err := res.Expect(c.expect...); err != nil || !res.Reached {
				t.Fatalf("the vendor's init ran: %v; %v; the console's end:\n%s",
					res.Reached, err, transcript.Tail(res.Console, 40))
			}
			for key, want := range c.says {
				got := strings.Join(said(res, key), " ")
				if !strings.Contains(got, want) || want == "" && got != "" {
					t.Errorf("the vendor's init found %s %q, want %q", key, got, want)
				}
			}
		})
	}
}

// busyboxBase is a hand-made initramfs in gzip. All names of busybox are one
// file.
func busyboxBase(t *testing.T) string {
	t.Helper()
	busybox, err := tool.StaticBusybox()
	if err != nil {
		testenv.Missing(t, err.Error())
	}
	dir := t.TempDir()
	for _, below := range []string{"etc", "bin"} {
		if err := os.Mkdir(filepath.Join(dir, below), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{"vendor.sh": vendorScript, "etc/inittab": "::sysinit:/vendor.sh\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(dir, "vendor.sh"), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	if err := copyTo(busybox, filepath.Join(dir, "bin/busybox"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"bin/sh", "init"} {
		if err := os.Link(filepath.Join(dir, "bin/busybox"), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	image := filepath.Join(t.TempDir(), "base.img")
	vendorTool(t, dir, `find . | cpio -o -H newc --quiet | gzip -n >"$1"`, image)
	return image
}

// dracutBase is an initramfs of dracut with no driver.
func dracutBase(t *testing.T) string {
	t.Helper()
	kernel := kernelDir(t)
	release, err := lab.KernelRelease(kernel)
	if err != nil {
		t.Fatal(err)
	}
	image, hook := filepath.Join(t.TempDir(), "dracut.img"), filepath.Join(t.TempDir(), "tell.sh")
	if err := os.WriteFile(hook, []byte(dracutScript), 0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	vendorTool(t, "/", `dracut --force --quiet --no-hostonly --kmoddir "$1" --kver "$2" --tmpdir "$5" \
		-m "base rootfs-block" -o "ifcfg network systemd" --drivers dummy --include "$3" /usr/lib/dracut/hooks/pre-trigger/50-tell.sh --zstd "$4"`,
		filepath.Join(kernel, "lib/modules", release), release, hook, image, t.TempDir())
	return image
}

// initramfsToolsBase is an initramfs of initramfs-tools with no driver. mkinitramfs takes
// modules from /lib/modules and the kernel's config from /boot only.
func initramfsToolsBase(t *testing.T) string {
	t.Helper()
	kernel := kernelDir(t)
	release, err := lab.KernelRelease(kernel)
	if err != nil {
		t.Fatal(err)
	}
	image, conf := filepath.Join(t.TempDir(), "initrd.img"), t.TempDir()
	vendorTool(t, "/",
		`cp -r /etc/initramfs-tools/. "$3" && echo MODULES=list >>"$3/initramfs.conf" && : >"$3/modules" &&
		mount -t overlay overlay -o "lowerdir=$1/lib:/usr/lib" /usr/lib && mount -t tmpfs tmpfs /boot && cp "$1/config" "/boot/config-$2" &&
		TMPDIR="$5" mkinitramfs -d "$3" -c gzip -o "$4" "$2"`, kernel, release, conf, image, t.TempDir())
	return image
}

// vendorTool runs a shell in mounts of its own.
func vendorTool(t *testing.T, dir, script string, args ...string) {
	t.Helper()
	for _, name := range []string{"unshare", "dracut", "mkinitramfs", "cpio"} {
		if _, err := exec.LookPath(name); err != nil {
			testenv.Missing(t, fmt.Sprintf("no %s: install util-linux, dracut-core, initramfs-tools-core and cpio",
				name))
		}
	}
	defer takePlace(t, busy)()
	cmd := exec.CommandContext(t.Context(), "unshare", slices.Concat([]string{"-m", "sh", "-c", script, "sh"}, args)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Fields(script)[0], err, out.String())
	}
}
