package integration

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// What /init writes. Stages are numbered, and there are fewer where nothing is
// attached; the sentences are init's.
const (
	byDHCP  = `nodisk: network \(3/\d\): eth0 10\.77\.\d+\.23/24 by DHCP from 10\.77\.\d+\.1`
	byHand  = `nodisk: network \(3/\d\): eth0 10\.77\.\d+\.23/24`
	mounted = `nodisk: mount \(\d/\d\): `
)

// imageProfiles is what the image of all these tests holds.
const imageProfiles = "virt,e1000,iscsi,ext4,nfs"

// A bootCase is one boot and what is to be seen of it.
type bootCase struct {
	name   string
	spec   lab.BootSpec
	long   bool     // it does little but wait
	expect []string // on the console, in order
	fails  bool     // the root is not to be reached
	why    string   // pattern of the explanation when it fails
	fs     string   // type of / when it is reached
}

// Roots by NFS, and more by iSCSI, are those of [dracutCases] and of TestBootKernels.
func TestBootRoot(t *testing.T) {
	t.Parallel()
	cases := []bootCase{
		{
			name: "pxe-dhcp-iscsi", spec: lab.BootSpec{CPUs: 2, PXE: true, Root: lab.RootISCSI}, fs: "ext4",
			expect: []string{`iPXE`, `PXELINUX`, byDHCP, mounted},
		},
		{
			name: "static-iscsi-label-e1000", spec: lab.BootSpec{CPUs: 2, Static: true, Root: lab.RootISCSI, NIC: lab.NICE1000},
			fs:     "ext4",
			expect: []string{byHand, mounted},
		},
		{
			// What pxelinux appends for IPAPPEND 3: the firmware's lease.
			name: "ipappend-iscsi", fs: "ext4", expect: []string{byHand + " static", mounted},
			spec: lab.BootSpec{
				Root:    lab.RootISCSI,
				Cmdline: "ip={client}:{server}:{gateway}:{mask} BOOTIF=01-{mac} root=iscsi::::1:{target}",
			},
		},
		{
			// Nobody needs the interface before the switch, and nobody loads its driver after it.
			name: "ram", spec: lab.BootSpec{Root: lab.RootRAM},
			expect: []string{`nodisk-root: net eth0`},
		},
	}
	runBoots(t, cases)
}

// Faults end as the policy says, with a line that names the cause.
func TestBootFault(t *testing.T) {
	t.Parallel()
	const giveUp = "nodisk.onfail=poweroff nodisk.deadline=20s"
	static := "ip={client}:{server}:{gateway}:{mask}:{name}::none "
	cases := []bootCase{
		{
			name: "no-such-target", long: true, fails: true, why: `nodisk: .*iqn\.2025-01\.test\.nodisk:nobody`,
			spec: lab.BootSpec{
				Static: true, Root: lab.RootISCSI, Append: giveUp,
				Cmdline: static + "netroot=iscsi:{server}::3260:1:iqn.2025-01.test.nodisk:nobody root=LABEL={label}",
			},
		},
		{
			name: "late-dhcp", long: true, fs: "ext4", expect: []string{byDHCP, mounted},
			// The most usual root path there is: it names no LUN, and LUN 0 is tgtd's
			// controller.
			spec: lab.BootSpec{Root: lab.RootISCSI, DHCPAfter: 20 * time.Second, RootPath: "iscsi:{server}::::{target}"},
		},
		{
			name: "no-dhcp", long: true, fails: true, why: `nodisk: .*(?i)(DHCP).*eth0|eth0.*(?i)DHCP`,
			spec: lab.BootSpec{Root: lab.RootISCSI, DHCPAfter: time.Hour, Append: giveUp},
		},
		{
			name: "wrong-label", long: true, fails: true, why: `nodisk: .*LABEL=nobody`,
			spec: lab.BootSpec{
				Static: true, Root: lab.RootISCSI, Append: giveUp,
				Cmdline: static + "netroot=iscsi:{server}::3260:1:{target} root=LABEL=nobody",
			},
		},
		{
			name: "no-such-export", long: true, fails: true,
			why: `nodisk: .*does not export /nobody to this node.*; it exports /`,
			spec: lab.BootSpec{
				Root: lab.RootNFS3, Append: giveUp,
				Cmdline: "ip=dhcp root=/dev/nfs nfsroot={server}:/nobody,vers=3",
			},
		},
		{
			name: "unknown-module", fails: true, why: `nodisk: .*no_such_module`,
			spec: lab.BootSpec{Root: lab.RootISCSI, Append: giveUp + " nodisk.modules=no_such_module"},
		},
		{
			// All that is wrong is told. The open quote swallows what follows.
			name: "garbage", fails: true, why: `nodisk: .*(ip=|root=|netroot=)`,
			expect: []string{`nodisk: .*bogus`, `nodisk: .*%%%`},
			spec: lab.BootSpec{
				Root:    lab.RootISCSI,
				Cmdline: `ip=::::::bogus root=%%% netroot=iscsi: === ` + giveUp + ` foo="`,
			},
		},
	}
	runBoots(t, cases)
}

// runBoots boots the cases side by side. Nodes have one processor where nothing depends on
// more: an emulated one with two takes the machine twice the time, because its kernel
// unpacks itself ([lab.Lab.PlainKernel]) and its processors wait for each other.
func runBoots(t *testing.T, cases []bootCase) {
	t.Helper()
	for _, c := range cases {
		needs(t, c.spec)
	}
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	image := buildImage(t, imageProfiles)
	ram := image
	for _, c := range cases {
		if c.spec.Root == lab.RootRAM {
			add, err := lab.AddFlags(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			ram = buildImage(t, "virt,ram", add...)
			break
		}
	}
	l := sharedLab(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, c.weight())
			s := c.spec
			s.Name, s.Kernel, s.Image = c.name, kernel, image
			s.Timeout = 4 * time.Minute
			if s.Root == lab.RootRAM {
				s.Image = ram
			}
			s.Log = testLogFile(c.name)
			res, err := l.Boot(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			c.check(t, res)
		})
	}
}

func (c bootCase) weight() weight {
	if c.long {
		return waits
	}
	return busy
}

func (c bootCase) check(t *testing.T, res lab.BootResult) {
	t.Helper()
	t.Logf("%.1f s on the host, %.2f s of the guest in the initramfs; %s", res.Times.Wall.Seconds(),
		res.Times.Initramfs().Seconds(), res.End)
	if err := res.Expect(c.expect...); err != nil {
		t.Error(err)
	}
	if res.Reached == c.fails {
		t.Errorf("root reached: %v, want %v; %s; %s; the console's end:\n%s", res.Reached, !c.fails, res.Why, res.End,
			transcript.Tail(res.Console, 40))
		return
	}
	if c.fails {
		if !regexp.MustCompile(c.why).MatchString(res.Why) {
			t.Errorf("the node explains itself by %q, want what matches %q; the console's end:\n%s",
				res.Why, c.why, transcript.Tail(res.Console, 40))
		}
		t.Log(res.Why)
		if res.End != lab.EndOff {
			t.Errorf("it ended by %q, want that it switched itself off (nodisk.onfail=poweroff)", res.End)
		}
		return
	}
	if c.fs != "" && res.Root.Type != c.fs {
		t.Errorf("/ is %s (%s), want %s", res.Root.Type, res.Root.Source, c.fs)
	}
	if stays := slices.Contains(strings.Fields(res.Root.Files), "init"); stays != (c.spec.Root == lab.RootRAM) {
		t.Errorf("the initramfs is the root: %v; / has %s", stays, res.Root.Files)
	}
	for _, dir := range []string{"/proc:proc", "/sys:sysfs", "/dev:devtmpfs", "/run:tmpfs"} {
		if !strings.Contains(strings.Join(res.Root.Lines, "\n"), dir) {
			t.Errorf("the root has no %s; it said:\n%s", dir, strings.Join(res.Root.Lines, "\n"))
		}
	}
	if res.Root.Address == "" && c.spec.Root != lab.RootRAM {
		t.Errorf("the root has no address; it said:\n%s", strings.Join(res.Root.Lines, "\n"))
	}
}
