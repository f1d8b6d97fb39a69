package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/integration/lab"
)

// buildFor makes an image for the boots that are only judged here.
func buildFor(t *testing.T, kernel string, args ...string) string {
	t.Helper()
	image := filepath.Join(t.TempDir(), "node.img")
	all := append([]string{
		"build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules", kernel, "--init",
		imageInit(t), "--compress", "none", "--out", image,
	}, args...)
	if status, _, stderr := nodisk(all...); status != 0 {
		t.Fatalf("build: status %d: %s", status, stderr)
	}
	return image
}

// plainKernel is a file of which no more is known than the release: nothing has to be
// unpacked.
func plainKernel(t *testing.T, release string) string {
	t.Helper()
	return planFile(t, "vmlinux", "\x7fELF\x02\x01\x01"+strings.Repeat("\x00", 11)+"\x3e\x00"+strings.Repeat("\x00",
		64)+
		"Linux version "+release+" (builder@example) (gcc) #1 SMP\n")
}

func released(t *testing.T, vmlinuz string) string {
	t.Helper()
	k, err := kernel.Open(t.Context(), filepath.Join(vmlinuz, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	return k.Release
}

// What nodisk plan and nodisk check know is told before a machine starts.
func TestBootRefuses(t *testing.T) {
	kernel := kernelDir(t)
	vmlinuz := plainKernel(t, released(t, kernel))
	iscsi, nfs := buildFor(t, kernel, "--profile", "virt,iscsi,ext4"), buildFor(t, kernel, "--profile", "virt,nfs")
	text := planFile(t, "text", "no image\n"+strings.Repeat("and no disk\n", 1<<10))
	tree, disk := rootTree(t, "sbin/init"), mbrDisk(t)
	write(t, filepath.Join(tree, "passwd"), func(w io.Writer) { _, _ = io.WriteString(w, "root\n") })
	other, old := plainKernel(t, "6.12.9-other"), plainKernel(t, "3.10.0-1160.el7.x86_64")
	for name, tt := range map[string]struct {
		args   []string
		want   string
		status int
	}{
		"other kernel":       {[]string{iscsi, "--kernel", other}, "no modules for this kernel, 6.12.9-other", 1},
		"old kernel":         {[]string{iscsi, "--kernel", old}, "nodisk needs Linux 4.18 or newer", 1},
		"no image":           {[]string{text, "--kernel", vmlinuz}, "text: read image: neither", 2},
		"profile of the NIC": {[]string{iscsi, "--kernel", vmlinuz, "--nic", "e1000"}, "no network: pci 8086:100e", 1},
		"profile of the way": {
			[]string{iscsi, "--kernel", vmlinuz, "--root", "nfs4"},
			"the root is by NFS, and the image has no module for it", 1,
		},
		"iscsi by nfs": {[]string{nfs, "--kernel", vmlinuz, "--root", "iscsi"}, "add --profile iscsi", 1},
		"memory": {
			[]string{iscsi, "--kernel", vmlinuz, "--memory", "64"},
			"--memory 64 is too little: the image of ", 2,
		},
		"file system": {
			[]string{iscsi, "--kernel", vmlinuz, "--append", "rootfstype=xfs"},
			`find module "xfs"`, 1,
		},
		"two roots": {
			[]string{iscsi, "--kernel", vmlinuz, "--tree", kernel, "--nfs", kernel},
			"can't be used together", 2,
		},
		"pattern":         {[]string{iscsi, "--kernel", vmlinuz, "--until", "("}, "--until: ", 2},
		"image as kernel": {[]string{iscsi, "--kernel", iscsi}, "--kernel: read kernel", 2},
		"text as kernel":  {[]string{iscsi, "--kernel", text}, "not a kernel that is known here", 2},
		"kernel as image": {[]string{vmlinuz, "--kernel", vmlinuz}, "vmlinux: read image: neither", 2},
		"forced kernel":   {[]string{iscsi, "--kernel", text, "--force"}, "not a kernel that is known here", 2},
		"directory by iscsi": {
			[]string{iscsi, "--kernel", vmlinuz, "--nfs", tree, "--root", "iscsi"},
			"an NFS export goes with the roots nfs3 and nfs4, not iscsi", 2,
		},
		"disk by NFS": {
			[]string{iscsi, "--kernel", vmlinuz, "--disk", disk, "--root", "nfs3"},
			"a disk goes with the roots iscsi and virtio, not nfs3", 2,
		},
		"virtio of nothing": {
			[]string{iscsi, "--kernel", vmlinuz, "--root", "virtio"},
			"the root virtio is a disk: say which", 2,
		},
		"time": {
			[]string{iscsi, "--kernel", vmlinuz, "--timeout", "5"},
			`--timeout: "5" is not a time such as 90s, 3m or 1m30s`, 2,
		},
		"device of no disk": {
			[]string{iscsi, "--kernel", vmlinuz, "--disk", "/dev/null"},
			"/dev/null is neither a disk image nor a block device", 2,
		},
		"driver of the NIC": {
			[]string{nfs, "--kernel", vmlinuz, "--nic", "e1000"},
			"no driver in the image: add --profile e1000 or --module e1000", 1,
		},
		"driver of the disk": {[]string{
			iscsi, "--kernel", vmlinuz, "--disk", disk, "--root", "virtio", "--append",
			"root=LABEL=x",
		}, "\n  no disk: virtio 2 storage controller: no driver in the image: add " +
			"--module virtio_blk\n", 1},
		"tree without init": {
			[]string{iscsi, "--kernel", vmlinuz, "--tree", kernel},
			kernel + ": the root has no init (/sbin/init: no such file or directory)", 1,
		},
		"export without init": {
			[]string{nfs, "--kernel", vmlinuz, "--nfs", kernel},
			kernel + ": the root has no init", 1,
		},
		"another init": {
			[]string{iscsi, "--kernel", vmlinuz, "--tree", tree, "--init", "/bin/nosuch"},
			tree + ": init=/bin/nosuch: no such file or directory: this root has no such program", 1,
		},
		"init that is text": {
			[]string{iscsi, "--kernel", vmlinuz, "--tree", tree, "--init", "/passwd"},
			"init=/passwd: not executable", 1,
		},
		"text as disk": {[]string{iscsi, "--kernel", vmlinuz, "--disk", text}, "--disk " + text +
			": no file system of Linux is on it", 1},
		"text as named disk": {
			[]string{iscsi, "--kernel", vmlinuz, "--disk", text, "--append", "root=LABEL=x"},
			": neither a file system nor a partition table that is known here is on it", 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := nodisk(append([]string{"boot"}, tt.args...)...)
			if status != tt.status || !strings.Contains(stderr, tt.want) {
				t.Errorf("status %d, want %d and %q in:\n%s%s", status, tt.status, tt.want, stdout, stderr)
			}
		})
	}
}

// rootTree is a directory with programs.
func rootTree(t *testing.T, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range programs {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil { //nolint:gosec // a node's
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, name), func(w io.Writer) { _, _ = io.WriteString(w, "#!/bin/sh\n") })
		if err := os.Chmod(filepath.Join(dir, name), 0o755); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
	}
	return dir
}

// mbrDisk is a disk with an empty partition.
func mbrDisk(t *testing.T) string {
	t.Helper()
	disk := make([]byte, 2<<20)
	copy(disk[446:], []byte{0, 0, 0, 0, 0x83, 0, 0, 0, 0, 8, 0, 0, 0, 8, 0, 0})
	disk[510], disk[511] = 0x55, 0xaa
	return planFile(t, "disk", string(disk))
}

// The way to a root, of one's own or the lab's, is one that the image is for; --force takes the first.
func TestBootWay(t *testing.T) {
	kernel := kernelDir(t)
	vmlinuz := plainKernel(t, released(t, kernel))
	iscsi, nfs := buildFor(t, kernel, "--profile", "virt,iscsi,ext4"), buildFor(t, kernel, "--profile", "virt,nfs")
	nfs3 := buildFor(t, kernel, "--profile", "virt,nfs3")
	ram := buildFor(t, kernel, "--profile", "ram", "--add", planFile(t, "init", "#!/bin/sh\n")+":/sbin/init")
	tree, disk := rootTree(t, "sbin/init", "bin/sh"), mbrDisk(t)
	for _, tt := range []struct {
		cmd  bootCmd
		want lab.Root
		line string
		err  string
	}{
		{bootCmd{Image: iscsi, Tree: tree}, lab.RootISCSI, "ip=dhcp root=dhcp rw", ""},
		{
			bootCmd{Image: iscsi, Tree: tree, Init: "/bin/sh", Append: "ro"},
			lab.RootISCSI,
			"ip=dhcp root=dhcp init=/bin/sh", "",
		},
		{bootCmd{Image: nfs, Tree: tree}, lab.RootNFS4, "ip=dhcp root=nfs4:{server}:{export}:vers=4.1 rw", ""},
		{bootCmd{Image: nfs, NFS: tree}, lab.RootNFS4, "ip=dhcp root=nfs4:{server}:{export}:vers=4.1 rw", ""},
		{
			bootCmd{Image: iscsi, NFS: tree},
			lab.RootNFS4, "ip=dhcp root=nfs4:{server}:{export}:vers=4.1 rw",
			"by NFS",
		},
		{
			bootCmd{Image: iscsi, NFS: tree, Force: true},
			lab.RootNFS4,
			"ip=dhcp root=nfs4:{server}:{export}:vers=4.1 rw", "",
		},
		{
			bootCmd{Image: iscsi, Disk: disk, Root: "iscsi", Append: "root=LABEL=x"},
			lab.RootISCSI,
			"ip=dhcp netroot=dhcp rw", "",
		},
		{bootCmd{Image: iscsi}, lab.RootISCSI, "ip=dhcp root=dhcp", ""},
		{bootCmd{Image: nfs}, lab.RootNFS4, "ip=dhcp root=nfs4:{server}:{export}", ""},
		{bootCmd{Image: nfs3}, lab.RootNFS3, "ip=dhcp root=/dev/nfs nfsroot={server}:{export},vers=3", ""},
		{bootCmd{Image: ram}, lab.RootRAM, "root=/dev/ram", ""},
	} {
		c := tt.cmd
		c.Kernel = vmlinuz
		if c.Root == "" {
			c.Root = "auto"
		}
		s, err := c.spec()
		if err == nil {
			var said strings.Builder
			err = c.forecast(t.Context(), &s, console{out: &said, err: &said})
		}
		if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%+v: %v, want %q", tt.cmd, err, tt.err)
		}
		if s.Root != tt.want || s.Words() != tt.line {
			t.Errorf("%+v: %v by %q, want %v by %q", tt.cmd, s.Root, s.Words(), tt.want, tt.line)
		}
	}
}

// Without --kernel it is the installed one whose modules the image has.
func TestBootKernel(t *testing.T) {
	kernel := kernelDir(t)
	release := released(t, kernel)
	image, err := openBootImage(t.Context(), buildFor(t, kernel, "--profile", "virt,nfs"))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	modules := filepath.Join(root, "lib/modules", release)
	if err := os.MkdirAll(modules, 0o755); err != nil { //nolint:gosec // as installed
		t.Fatal(err)
	}
	if _, err := installedKernel(root, image); err == nil ||
		!strings.Contains(err.Error(), "no file such as /boot/vmlinuz-"+release+"; give the kernel by --kernel FILE") {
		t.Errorf("modules alone: %v", err)
	}
	at := filepath.Join(modules, "vmlinuz")
	write(t, at, func(io.Writer) {})
	if k, err := installedKernel(root, image); err != nil || k.File != at {
		t.Errorf("%v, %v, want %s", k, err, at)
	}
	if _, err := installedKernel(t.TempDir(), image); err == nil || !strings.Contains(err.Error(), "no modules in ") ||
		!strings.Contains(err.Error(), "give the kernel by --kernel FILE") {
		t.Errorf("nothing installed: %v", err)
	}
}

// An image lies twice in the node's memory.
func TestBootMemory(t *testing.T) {
	const mib = 1 << 20
	image := initramfs.Contents{Bytes: 300 * mib, Raw: 900 * mib}
	s := lab.BootSpec{}
	if err := roomFor(&s, image); err != nil || s.Memory != 1344 {
		t.Errorf("%d MiB, %v; want 1344", s.Memory, err)
	}
	s = lab.BootSpec{Memory: 1000}
	if err := roomFor(&s, image); err == nil || !strings.Contains(err.Error(), "give --memory 1296 or more") {
		t.Errorf("%v", err)
	}
	s = lab.BootSpec{}
	if err := roomFor(&s, initramfs.Contents{Bytes: 4 * mib, Raw: 9 * mib}); err != nil || s.Memory != leastMemory {
		t.Errorf("%d MiB, %v", s.Memory, err)
	}
}

// What became of a root of one's own.
func TestBootOutcome(t *testing.T) {
	own, l := lab.BootSpec{Tree: "x"}, lab.BootSpec{}
	at := lab.BootSpec{Tree: "x", Interactive: true}
	const off, reboot = "it switched itself off", "it rebooted"
	for _, tt := range []struct {
		spec lab.BootSpec
		res  lab.BootResult
		want string // beginning of the line or of the error
	}{
		{l, lab.BootResult{Reached: true}, "root reached: "},
		{l, lab.BootResult{Switched: true, End: off, Why: "nodisk: x"}, "boot: root not reached: nodisk: x"},
		{own, lab.BootResult{Switched: true, Found: true}, "root is up: "},
		{own, lab.BootResult{Switched: true, End: off}, "root is up: it switched itself off"},
		{own, lab.BootResult{Switched: true, End: reboot}, "boot: the root's init began, but nothing like a " +
			"login prompt came (it rebooted"},
		{at, lab.BootResult{Switched: true, End: reboot}, "root is up: it rebooted"},
		{own, lab.BootResult{End: off, Why: "nodisk: error: x"}, "boot: root not reached: nodisk: error: " +
			"x (it switched"},
		{
			own,
			lab.BootResult{Switched: true, Why: "Kernel panic - x", End: reboot},
			"boot: the root's init began, but did not come up: Kernel panic - x",
		},
	} {
		text, err := outcome(tt.spec, tt.res)
		if err != nil {
			text = err.Error()
		}
		if !strings.HasPrefix(text, tt.want) {
			t.Errorf("%+v: %q, want %q", tt.res, text, tt.want)
		}
	}
}
