package link

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

// portOfHCA are the lines of sysfs of an interface of the adapter in a directory: its index in the
// machine, and what else it has as "file text".
func portOfHCA(dir, name string, index int, more ...string) string {
	at := dir + "/net/" + name
	lines := []string{
		"class/net/" + name + " -> " + at,
		at + "/subsystem -> class/net",
		fmt.Sprintf("%s/uevent INTERFACE=%s\\nIFINDEX=%d", at, name, index),
		at + "/type 32",
		fmt.Sprintf("%s/ifindex %d", at, index),
		at + "/address 80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39",
		at + "/addr_assign_type 0",
		at + "/name_assign_type 1",
	}
	if !strings.Contains(dir, "virtual") {
		lines = append(lines, at+"/device -> "+dir)
	}
	hasLink := false
	for _, text := range more {
		lines = append(lines, at+"/"+text)
		hasLink = hasLink || strings.HasPrefix(text, "iflink ")
	}
	if !hasLink {
		lines = append(lines, fmt.Sprintf("%s/iflink %d", at, index))
	}
	return strings.Join(lines, "\n") + "\n"
}

// functionOfPCI are those of a function of PCI.
func functionOfPCI(dir string, multifunction bool) string {
	header := "\x00"
	if multifunction {
		header = "\x80"
	}
	return dir + "/uevent PCI_CLASS=20700\n" + dir + "/subsystem -> bus/pci\n" + dir + "/class 0x020700\n" + dir + "/config 0123456789abcd" + header + "\n"
}

// infiniBandSysfs is what the kernel shows of the ports of some HCAs.
func infiniBandSysfs(t *testing.T) sysTree {
	t.Helper()
	const (
		above  = "devices/pci0000:40/0000:40:01.1"
		single = above + "/0000:41:00.0"
		first  = "devices/pci0000:97/0000:97:02.0/0000:98:00.0"
		second = "devices/pci0000:97/0000:97:02.0/0000:98:00.1"
		cloud  = "devices/pci0101:00/0101:00:02.0"
		board  = "devices/pci0000:00/0000:00:02.0/0000:03:00.0"
		vf     = above + "/0000:41:00.2"
	)
	return sysfsOf(t, functionOfPCI(above, false)+functionOfPCI(single, false)+functionOfPCI(first, true)+functionOfPCI(second, true)+
		functionOfPCI(cloud, false)+functionOfPCI(board, false)+board+"/index 2\n"+functionOfPCI(vf, false)+
		vf+"/physfn -> "+single+"\n"+single+"/virtfn0 -> "+vf+"\n"+
		"bus/pci/slots/1/address 0000:41:00\nbus/pci/slots/22/address 0000:98:00\nbus/pci/x\n"+
		// Two ports of one HCA, as ConnectX-3 has them. ib_ipoib sets both numbers.
		portOfHCA(single, "ib0", 104, "dev_port 0", "dev_id 0x0")+portOfHCA(single, "ib1", 105, "dev_port 1", "dev_id 0x1")+
		// Older kernels count them in the second alone.
		portOfHCA(single, "ib11", 115, "dev_port 0", "dev_id 0x1")+
		// A partition on the first: a child knows its parent. The kernel gives it no device; one that has it is no other.
		portOfHCA("devices/virtual", "ib0.8001", 106, "iflink 104", "dev_port 0", "name_assign_type 3")+
		portOfHCA(single, "ib0.8002", 107, "iflink 104", "dev_port 0", "name_assign_type 3")+
		// Two functions, as ConnectX-4 and later have their ports.
		portOfHCA(first, "ib2", 108, "dev_port 0")+portOfHCA(second, "ib3", 109, "dev_port 0")+
		portOfHCA(cloud, "ib4", 110, "dev_port 0")+portOfHCA(board, "ib5", 111, "dev_port 0")+portOfHCA(vf, "ib6", 112, "dev_port 0"))
}

// Names of IPoIB interfaces as udev makes them of what the kernel shows of a port.
func TestInfiniBandNamesOfSysfs(t *testing.T) {
	s := infiniBandSysfs(t)
	for _, tt := range []struct {
		name, scheme string
		want         UdevNames
		udev         string // the one that it gets
	}{
		{"ib0", "", UdevNames{Slot: "ibs1", Path: "ibp65s0"}, "ibs1"},
		{"ib1", "", UdevNames{Slot: "ibs1d1", Path: "ibp65s0d1"}, "ibs1d1"},
		{"ib11", "", UdevNames{Slot: "ibs1d1", Path: "ibp65s0d1"}, "ibs1d1"},
		{"ib0", "v239", UdevNames{}, ""}, // systemd before 240 left InfiniBand alone
		{"ib0", "rhel-8.4", UdevNames{}, ""},
		{"ib0", "rhel-9.0", UdevNames{Slot: "ibs1", Path: "ibp65s0"}, "ibs1"},
		{"ib0.8001", "", UdevNames{Kept: true}, ""},
		{"ib0.8002", "", UdevNames{Kept: true}, ""},
		{"ib2", "", UdevNames{Slot: "ibs22f0", Path: "ibp152s0f0"}, "ibs22f0"},
		{"ib3", "", UdevNames{Slot: "ibs22f1", Path: "ibp152s0f1"}, "ibs22f1"},
		{"ib4", "", UdevNames{Path: "ibP257p0s2"}, "ibP257p0s2"},
		{"ib5", "", UdevNames{Onboard: "ibo2", Path: "ibp3s0"}, "ibo2"},
		{"ib6", "", UdevNames{Slot: "ibs1v0", Path: "ibp65s0v0"}, "ibs1v0"},
	} {
		scheme, _ := ParseScheme(tt.scheme)
		got := s.card(tt.name).names(scheme)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s %s (-want +got):\n%s", tt.name, tt.scheme, diff)
		}
		if name := got.By(DefaultNamePolicy()); name != tt.udev {
			t.Errorf("%s %s: %q, want %q", tt.name, tt.scheme, name, tt.udev)
		}
		for _, name := range got.All() {
			if !InfiniBandName(name) || !IsUdevName(name) {
				t.Errorf("%s is no name of InfiniBand and of udev's", name)
			}
		}
	}
}

// udevHere puts the test into namespaces in which /sys shows the ports of infiniBandSysfs and
// /run has nothing but a directory for .link files, and returns what udevadm(8) says of a port there. It is nil
// outside of them.
func udevHere(t *testing.T) (s sysTree, udevadm func(env string, args ...string) map[string]string) {
	t.Helper()
	program, err := exec.LookPath("udevadm")
	if err != nil {
		testenv.Missing(t, "udevadm: install udev")
	}
	if !testenv.Inside() {
		t.Parallel()
	}
	if !testenv.Namespace(t, unix.CLONE_NEWNS) {
		return "", nil
	}
	s = infiniBandSysfs(t)
	run := t.TempDir()
	if err := os.MkdirAll(filepath.Join(run, linkFiles), 0o755); err != nil { //nolint:gosec // as it is
		t.Fatal(err)
	}
	if err := errors.Join(
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount(string(s), "/sys", "", unix.MS_BIND, ""),
		unix.Mount(run, "/run", "", unix.MS_BIND, ""),
	); err != nil {
		t.Fatal(err)
	}
	return s, func(env string, args ...string) map[string]string {
		cmd := exec.CommandContext(t.Context(), program, args...)
		// A tree of files is not sysfs, and udev is to read it all the same.
		cmd.Env = append(os.Environ(), "SYSTEMD_DEVICE_VERIFY_SYSFS=0", env)
		out, err := cmd.CombinedOutput()
		said := make(map[string]string)
		for line := range strings.Lines(string(out)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok && strings.HasPrefix(key, "ID_NET_") {
				said[key] = value
			}
		}
		if err != nil && len(said) == 0 && !strings.Contains(env, "v239") { // which has nothing to say
			t.Errorf("udevadm %v: %v\n%s", args, err, out)
		}
		return said
	}
}

// linkFiles is where systemd.link(5) looks, below /run.
const linkFiles = "systemd/network"

// Whatever a scheme says of these ports, udev itself says the same, of the same sysfs.
func TestInfiniBandNamesAsUdev(t *testing.T) {
	s, udevadm := udevHere(t)
	if udevadm == nil {
		return
	}
	entries, err := os.ReadDir("/sys/class/net")
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	for _, e := range entries {
		if e.Name() == "ib11" {
			continue // udev 252 takes the hexadecimal dev_id for no number, 255 does not
		}
		for version := range strings.FieldsSeq("v239 v240 v252") {
			said := udevadm("NET_NAMING_SCHEME="+version, "test-builtin", "net_id", "/sys/class/net/"+e.Name())
			want := UdevNames{
				Onboard: said["ID_NET_NAME_ONBOARD"], Slot: said["ID_NET_NAME_SLOT"],
				Path: said["ID_NET_NAME_PATH"], MAC: said["ID_NET_NAME_MAC"],
			}
			if want.Path != "" {
				named++
			}
			scheme, _ := ParseScheme(version)
			got := s.card(e.Name()).names(scheme)
			got.Kept = false // the rules ask for that, not the names
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s by %s (-udev +got):\n%s", e.Name(), version, diff)
			}
		}
	}
	if most := 2 * 7; named != most { // seven ports, none by v239
		t.Errorf("udev has named %d times, want %d", named, most)
	}
}

// The .link files of docs/infiniband.md, with udev: what a root calls the ports with and without.
func TestInfiniBandLinkFiles(t *testing.T) {
	_, udevadm := udevHere(t)
	if udevadm == nil {
		return
	}
	const keep, second = "[Match]\nOriginalName=ib*\n\n[Link]\nNamePolicy=kernel\n", "[Match]\nProperty=ID_NET_NAME_PATH=ibp65s0d1\n\n[Link]\nName=storage\n"
	for _, tt := range []struct {
		files       map[string]string
		first, next string
	}{
		{nil, "ibs1", "ibs1d1"},
		{map[string]string{"10-ib.link": keep}, "ib0", "ib1"},
		{map[string]string{"10-ib.link": keep, "05-storage.link": second}, "ib0", "storage"},
	} {
		for name, text := range tt.files {
			if err := os.WriteFile(filepath.Join("/run", linkFiles, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for i, want := range []string{tt.first, tt.next} {
			// udev renames the interface that the kernel has by this number.
			attrs := netlink.NewLinkAttrs()
			attrs.Name, attrs.Index = fmt.Sprintf("ib%d", i), 104+i
			if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "peer"}); err != nil {
				testenv.Missing(t, "veth: "+err.Error())
			}
			said := udevadm("", "test", "--action=add", "/sys/class/net/"+attrs.Name)
			link, err := netlink.LinkByIndex(attrs.Index)
			if err != nil {
				t.Fatal(err)
			}
			if got := link.Attrs().Name; got != want || said["ID_NET_NAME"] != want {
				t.Errorf("with %v udev makes %s %q and says %q, want %q", tt.files, attrs.Name, got, said["ID_NET_NAME"], want)
			}
			if err := netlink.LinkDel(link); err != nil {
				t.Fatal(err)
			}
		}
	}
}
