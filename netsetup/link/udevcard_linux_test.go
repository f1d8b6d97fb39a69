package link

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// sysfsOf makes a tree of files and, with an arrow, of links, which are relative as those of sysfs.
func sysfsOf(t *testing.T, lines string) sysTree {
	t.Helper()
	root := t.TempDir()
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		name, target, link := strings.Cut(line, " -> ")
		name, content, _ := strings.Cut(name, " ")
		if name == "" {
			continue
		}
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if link {
			if target, err = filepath.Rel(filepath.Dir(path), filepath.Join(root, target)); err == nil {
				err = os.Symlink(target, path)
			}
		} else {
			err = os.WriteFile(path, []byte(strings.ReplaceAll(content, `\n`, "\n")+"\n"), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return sysTree(root)
}

func TestCardOfSysfs(t *testing.T) {
	const port = "devices/pci0000:00/0000:00:1c.0"
	s := sysfsOf(t, `
class/net/eth0 -> `+port+`/0000:03:00.1/virtio0/net/eth0
`+port+`/uevent DRIVER=pcieport
`+port+`/subsystem -> bus/pci
`+port+`/class 0x060400
`+port+`/firmware_node/sun 7
`+port+`/0000:03:00.1/uevent PCI_CLASS=20000
`+port+`/0000:03:00.1/subsystem -> bus/pci
`+port+`/0000:03:00.1/class 0x020000
`+port+`/0000:03:00.1/index 2
`+port+`/0000:03:00.1/ari_enabled 1
`+port+`/0000:03:00.1/config 0123456789abcd`+"\x80"+`
`+port+`/0000:03:00.1/physfn -> `+port+`/0000:03:00.0
`+port+`/0000:03:00.0/uevent PCI_CLASS=20000
`+port+`/0000:03:00.0/subsystem -> bus/pci
`+port+`/0000:03:00.0/acpi_index 5
`+port+`/0000:03:00.0/virtfn0 -> `+port+`/0000:03:00.2
`+port+`/0000:03:00.0/virtfn3 -> `+port+`/0000:03:00.1
`+port+`/0000:03:00.1/virtio0/uevent DRIVER=virtio_net
`+port+`/0000:03:00.1/virtio0/subsystem -> bus/virtio
`+port+`/0000:03:00.1/virtio0/net/eth0/uevent INTERFACE=eth0\nDEVTYPE=wwan
`+port+`/0000:03:00.1/virtio0/net/eth0/device -> `+port+`/0000:03:00.1/virtio0
`+port+`/0000:03:00.1/virtio0/net/eth0/type 1
`+port+`/0000:03:00.1/virtio0/net/eth0/ifindex 2
`+port+`/0000:03:00.1/virtio0/net/eth0/iflink 2
`+port+`/0000:03:00.1/virtio0/net/eth0/dev_port 1
`+port+`/0000:03:00.1/virtio0/net/eth0/dev_id 0x2
`+port+`/0000:03:00.1/virtio0/net/eth0/phys_port_name p1
`+port+`/0000:03:00.1/virtio0/net/eth0/address 52:54:00:12:34:56
`+port+`/0000:03:00.1/virtio0/net/eth0/addr_assign_type 0
`+port+`/0000:03:00.1/virtio0/net/eth0/name_assign_type 4
bus/pci/x
bus/virtio/x
bus/pci/slots/7/address 0000:03:00
bus/pci/slots/7-1/address 0000:04:00
bus/pci/slots/8/address
class/net/end0 -> devices/platform/scb/fd58.ethernet/net/end0
devices/platform/scb/uevent
devices/platform/scb/fd58.ethernet/uevent DRIVER=bcmgenet
devices/platform/scb/fd58.ethernet/subsystem -> bus/platform
devices/platform/scb/fd58.ethernet/of_node -> firmware/devicetree/base/scb/ethernet@7d58
devices/platform/scb/fd58.ethernet/net/end0/device -> devices/platform/scb/fd58.ethernet
devices/platform/scb/fd58.ethernet/net/end0/type 1
devices/platform/scb/fd58.ethernet/net/end0/address 52:54:00:12:34:56
devices/platform/scb/fd58.ethernet/net/end0/addr_assign_type 3
bus/platform/x
firmware/devicetree/base/scb/ethernet@7d58/reg
firmware/devicetree/base/aliases/serial0 /scb/ethernet@7d58
firmware/devicetree/base/aliases/ethernet1 /scb/ethernet@7d58
`)
	for name, want := range map[string]card{
		"eth0": {
			Path: "/sys/" + port + "/0000:03:00.1/virtio0/net/eth0", Type: HwEthernet, DevType: "wwan",
			DevPort: 1, PortName: "p1", MAC: macA, Kept: true, VF: 3, Alias: -1, OwnAlias: -1,
			Above: []busDevice{
				{Subsystem: "virtio", Name: "virtio0"},
				{Subsystem: "pci", Name: "0000:03:00.1", PCI: pciDevice{Index: 2, Multifunction: true, ARI: true}},
				{Subsystem: "pci", Name: "0000:00:1c.0", PCI: pciDevice{Index: -1, Bridge: true, Sun: 7}},
			},
			Physical: []busDevice{
				{Subsystem: "pci", Name: "0000:03:00.0", PCI: pciDevice{Index: 5}},
				{Subsystem: "pci", Name: "0000:00:1c.0", PCI: pciDevice{Index: -1, Bridge: true, Sun: 7}},
			},
			Slots: []pciSlot{{7, "0000:03:00"}},
		},
		"end0": {
			Path: "/sys/devices/platform/scb/fd58.ethernet/net/end0", Type: HwEthernet, VF: -1, Alias: 1, OwnAlias: -1,
			Above: []busDevice{{Subsystem: "platform", Name: "fd58.ethernet"}, {Name: "scb"}},
		},
		"gone": {VF: -1, Alias: -1, OwnAlias: -1},
	} {
		if diff := cmp.Diff(want, s.card(name)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
