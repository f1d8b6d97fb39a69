package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// Slips of the finger are told, words of others are not.
func TestSlips(t *testing.T) {
	for word, want := range map[string]string{
		"rootfstyp=ext4": "rootfstype", "bootif=01-aa": "BOOTIF", "nfsrot=/x": "nfsroot", "nameservr=10.0.0.1": "nameserver", "nodsik.deadline=3m": "nodisk.deadline",
		"rot=/dev/nfs": "root", "netrot=dhcp": "netroot", "module_blacklst=a": "module_blacklist",
		"root=/dev/nfs": "", "BOOTIF=01-aa": "", "module-blacklist=a": "", "quiet": "", "splash": "", "console=ttyS0": "", "initrd=x": "", "boot=live": "",
		"panic=-1": "", "mitigations=off": "", "BOOT_IMAGE=/vmlinuz": "", "ib_ipoib.lro=0": "", "ro": "", "boot_delay=100": "", "IP=dhcp": "ip", "rdshell": "rd.shell", "NFSROOT=/x": "nfsroot", "systemd.unit=a": "", "noapic": "", "nomodeset": "", "iommu=pt": "",
		"loglevel=3": "", "hostname=a": "", "vga=791": "", "selinux=0": "", "audit=0": "", "net.ifnames=0": "", "biosdevname=0": "", "text": "", "rhgb": "", "crashkernel=256M": "",
		"intel_iommu=on": "", "pci=nomsi": "", "acpi=off": "", "nosmt": "", "mem=4G": "", "debug": "", "earlyprintk=vga": "", "ipv6.disable=1": "", "zswap.enabled=1": "",
		"resume=/dev/sda2": "", "fsck.mode=skip": "", "single": "", "emergency": "", "nofb": "", "video=800x600": "", "apparmor=0": "", "lsm=": "", "hugepages=10": "",
	} {
		warnings, _ := keyTable(Keys()).judge(cmdline.Parse(word))
		got := strings.Join(warnings, "; ")
		if want == "" && got != "" || !strings.HasSuffix(got, "did you mean "+want+"?") && want != "" {
			t.Errorf("%s: %q, want %q", word, got, want)
		}
	}
}

// The loads are in the order of the stages, without what the kernel does without, and the plan is left alone.
func TestLoads(t *testing.T) {
	line := cmdline.Parse("ip=bond0:dhcp bond=bond0:eth0,eth1 netroot=iscsi:10.0.0.1::::iqn.2025-01.org.example:root root=LABEL=root nodisk.modules=ib_addr,dummy rd.driver.post=last")
	p, err := New(line, cmdline.Parse("nodisk.profile=virt,iscsi,ext4,bond,ib"))
	if err != nil {
		t.Fatal(err)
	}
	x, err := modload.Open(fstest.MapFS{"lib/modules/6.1/modules.dep": {Data: []byte("a/dummy.ko:\na/ib_ipoib.ko:\n")}}, "6.1")
	if err != nil {
		t.Fatal(err)
	}
	loads, notes := p.Loads(x)
	if !slices.Equal(p.Modules.First, []string{"ib_addr", "dummy"}) {
		t.Errorf("the plan has %v left", p.Modules.First)
	}
	var got []string
	for _, l := range loads {
		got = append(got, fmt.Sprintf("%s %d %s: %s", l.Stage, l.Way, l.Phase, strings.Join(requestNames(l.Requests), " ")))
	}
	want := []string{
		fmt.Sprintf("drivers %d by nodisk.modules=: dummy", LoadInOrder), // ib_addr is retired
		fmt.Sprintf("drivers %d by rd.driver.pre=: ", LoadInOrder),
		fmt.Sprintf("drivers %d for network devices: ", LoadNetwork),
		fmt.Sprintf("drivers %d of the image's profiles: ib_ipoib", LoadDrivers),
		fmt.Sprintf("drivers %d by rd.driver.post=: last", LoadLast),
		fmt.Sprintf("network %d for links and sockets: bonding", LoadNeeded),
		fmt.Sprintf("drivers %d for other devices: ", LoadDevices),
		fmt.Sprintf("attach %d for the root: iscsi_tcp sd_mod crypto-crc32c", LoadNeeded),
		fmt.Sprintf("storage %d for the root: iscsi_tcp sd_mod crypto-crc32c ext4", LoadNeeded),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(notes) != 1 || !strings.Contains(notes[0], "ib_addr") {
		t.Errorf("notes: %v", notes)
	}
}
