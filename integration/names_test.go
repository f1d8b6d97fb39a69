package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/server"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// namesScript asks udev for the names of each card that is there, and for the one
// that it would give it: "card NAME ADDRESS" and "udev NAME KEY=VALUE".
const namesScript = `#!/bin/busybox sh
echo "<1>` + lab.Marker + `" >/dev/kmsg
b=/bin/busybox
exec </dev/console >/dev/console 2>&1
say() { echo "nodisk-root: $*"; }
say reached
echo 1 >/proc/sys/kernel/printk # what drivers say would come between the words of a line
for dev in /sys/class/net/*; do
	dev=${dev##*/}
	[ "$dev" != lo ] || continue
	say "card $dev $($b cat /sys/class/net/$dev/address)"
	udevadm test --action=add /sys/class/net/$dev 2>/dev/null | $b sed -n "s/^ *\\(ID_NET_[A-Z_]*=[^ ]*\\).*/nodisk-root: udev $dev \\1/p"
done
say done
$b poweroff -f
`

// The names that nodisk gives to cards, and those that udev has for them: of
// virtio, e1000, e1000e behind a PCI Express bridge, several functions, slots with
// hotplug, one with a number on the board, USB, and a VLAN.
func TestBootNames(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Root: lab.RootRAM, Board: "q35"}
	needs(t, spec)
	udevadm, err := exec.LookPath("udevadm")
	if err != nil {
		testenv.Missing(t, "no udevadm: install udev")
	}
	kernel := kernelDir(t)
	tree := t.TempDir()
	if err := lab.RootTree(tree); err != nil {
		t.Fatal(err)
	}
	libraries, err := server.SharedLibraries(udevadm)
	if err != nil {
		t.Fatal(err)
	}
	if err := copyTo(udevadm, filepath.Join(tree, "bin/udevadm"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, library := range libraries {
		to := filepath.Join(tree, library)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a root's directory
			t.Fatal(err)
		}
		if err := copyTo(library, to, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	naming := "nodisk.ifnames=usb-path"
	if udevRules(t, tree) {
		naming = "" // nodisk is to see for itself
	}
	if err := os.WriteFile(filepath.Join(tree, "sbin/init"), []byte(namesScript),
		0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	cards := []struct{ device, want string }{
		{"e1000,bus=pcie.0,addr=7", "enp0s7"},
		{"virtio-net-pci,bus=pcie.0,addr=8.0,multifunction=on", "enp0s8f0"},
		{"virtio-net-pci,bus=pcie.0,addr=8.1", "enp0s8f1"},
		{"e1000e,bus=rp1", ""},
		{"e1000e,bus=rp2,addr=0.0,multifunction=on", ""},
		{"e1000e,bus=rp2,addr=0.1", ""},
		{"virtio-net-pci,bus=rp3,acpi-index=5", "eno5"},
		{"e1000,bus=pb,addr=3", "ens3"},
		{"virtio-net-pci,bus=pb,addr=4", "ens4"},
		{"usb-net,bus=usb.0,port=1", ""},
		{"usb-net,bus=usb.0,port=2", ""},
	}
	spec.Devices = []string{
		"pcie-root-port,id=rp1,bus=pcie.0,addr=10,chassis=1,slot=1",
		"pcie-root-port,id=rp2,bus=pcie.0,addr=11,chassis=2,slot=2",
		"pcie-root-port,id=rp3,bus=pcie.0,addr=12,chassis=3,slot=3",
		"pcie-root-port,id=rp4,bus=pcie.0,addr=14,chassis=4,slot=4",
		"pcie-pci-bridge,id=pb,bus=rp4", "qemu-xhci,id=usb,bus=pcie.0,addr=13",
	}
	// Every word is about an address, but for that of the VLAN: the names are
	// nodisk's. On a busy machine USB takes longer than the 10 s that are usual.
	words := []string{"ip=dhcp"}
	macs := map[string]string{}
	for i, c := range cards {
		mac := fmt.Sprintf("52:54:00:ab:00:%02x", i)
		spec.Devices = append(spec.Devices, c.device+",mac="+mac)
		words = append(words, "ip="+strings.ReplaceAll(mac, ":", "-")+":none")
		macs[mac] = c.want
	}
	spec.Cmdline = "root=/dev/ram rd.neednet=1 rd.net.timeout.carrier=60 net.ifnames=1 net.naming_scheme=v252 " +
		naming + " vlan=enp0s7.5:enp0s7 ip=enp0s7.5:none " + strings.Join(words, " ")
	spec.Name, spec.Kernel, spec.CPUs, spec.Timeout = "names", filepath.Join(kernel, "vmlinuz"), 2, 4*time.Minute
	spec.Image = buildImage(t, "virt,eth,vlan,ram", "--module", "usbnet,cdc_ether,rndis_host,xhci_pci", "--add",
		tree+":/")
	if dir := os.Getenv("NODISK_TEST_LOGS"); dir != "" {
		spec.Log = filepath.Join(dir, "names.log")
	}
	takePlace(t, busy)
	res, err := sharedLab(t).Boot(t.Context(), spec)
	if err != nil || !res.Reached {
		t.Fatalf("%v; the console's end:\n%s", err, transcript.Tail(res.Console, 40))
	}
	udev := map[string]map[string]string{}
	have := map[string]string{} // by name
	for _, line := range res.Root.Lines {
		f := strings.Fields(line)
		switch {
		case len(f) == 3 && f[0] == "card":
			have[f[1]] = f[2]
		case len(f) == 3 && f[0] == "udev":
			if udev[f[1]] == nil {
				udev[f[1]] = map[string]string{}
			}
			key, value, _ := strings.Cut(f[2], "=")
			udev[f[1]][key] = value
		}
	}
	for name, mac := range have {
		want := udev[name]["ID_NET_NAME"]
		t.Logf("%s %s, udev: %v", name, mac, udev[name])
		if name != want {
			t.Errorf("%s (%s) is called %q by udev, by %s", name, mac, want, udev[name]["ID_NET_LINK_FILE"])
		}
	}
	// The VLAN has the address of its parent.
	for mac, want := range macs {
		if want != "" && have[want] != mac {
			t.Errorf("%s is not called %s", mac, want)
		}
	}
	if len(have) != len(cards)+2 {
		t.Errorf("%d of %d cards are there: %v", len(have), len(cards)+2, have)
	}
}

// udevRules puts this machine's rules for the names of cards into a root, and reports
// whether those for USB are among them. What has been renamed is not kept as it is: so
// udev says what it would call a card that it sees first.
func udevRules(t *testing.T, root string) (usb bool) {
	t.Helper()
	put := func(name, text string) {
		to := filepath.Join(root, "usr/lib", name)
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil { //nolint:gosec // a root's directory
			t.Fatal(err)
		}
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil { //nolint:gosec // a root's file
			t.Fatal(err)
		}
	}
	for _, name := range []string{
		"udev/rules.d/75-net-description.rules", "udev/rules.d/80-net-setup-link.rules",
		"systemd/network/99-default.link",
	} {
		text, err := os.ReadFile(filepath.Join("/usr/lib", name))
		if err != nil {
			testenv.Missing(t, err.Error())
		}
		put(name, strings.Replace(string(text), "NamePolicy=keep ", "NamePolicy=", 1))
	}
	const byAddress = "systemd/network/73-usb-net-by-mac.link"
	text, err := os.ReadFile(filepath.Join("/usr/lib", byAddress))
	if err == nil {
		put(byAddress, string(text))
	}
	return err == nil
}
