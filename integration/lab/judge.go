package lab

import (
	"fmt"
	"strings"
)

// Line is the command line of a node as far as it can be known before its lab is up, for a
// forecast: the lab's values are those of its first network, and what DHCP would say of the
// root is written in place of "dhcp".
func (s BootSpec) Line() string {
	values := map[string]string{
		"server": "10.77.0.1", "gateway": "10.77.0.1", "client": "10.77.0.23", "mask": "255.255.255.0",
		"mac": "52:54:00:77:00:01", "name": s.name(), "label": RootLabel, "uuid": RootUUID, "disk": "/dev/vda",
		"target": "iqn.2025-01.test.nodisk.lab:" + s.name() + "-1", "export": "/srv/root",
	}
	var words []string
	for word := range strings.FieldsSeq(Fill(s.Words()+" "+s.Append, values)) {
		key, value, _ := strings.Cut(word, "=")
		if path := Fill(s.RootOption(), values); value == "dhcp" && path != "" && (key == "root" || key == "netroot") {
			word = key + "=" + path
		}
		words = append(words, word)
	}
	if s.Root == RootISCSI && s.Disk == "" && s.Cmdline == "" && !s.names("rootfstype") {
		words = append(words, "rootfstype=ext4") // what the lab makes
	}
	return strings.Join(words, " ")
}

// A device is one of QEMU's: its PCI number as lspci -n writes it, and the module that drives it.
type device struct{ id, driver string }

// adapters are QEMU's NIC models (docs/specs/pci-ids.rst and hw/net in its sources).
func adapters() map[string]device {
	return map[string]device{
		"virtio-net-pci": {"1af4:1000", "virtio_net"}, "e1000": {"8086:100e", "e1000"}, "e1000e": {
			"8086:10d3",
			"e1000e",
		},
		"igb": {"8086:10c9", "igb"}, "rtl8139": {"10ec:8139", "8139cp"}, "vmxnet3": {"15ad:07b0", "vmxnet3"},
		"pcnet": {"1022:2000", "pcnet32"}, "i82559er": {"8086:1209", "e100"},
	}
}

// Driver returns the module for a device of [BootSpec.Hardware], by its modalias; empty if it is
// not known here.
func Driver(modalias string) string {
	// virtio's devices are on a bus of their own (include/uapi/linux/virtio_ids.h).
	for prefix, driver := range map[string]string{
		"virtio:d00000001": "virtio_net", "virtio:d00000002": "virtio_blk",
		"pci:v00001AF4": "virtio_pci",
	} {
		if strings.HasPrefix(modalias, prefix) {
			return driver
		}
	}
	for _, d := range adapters() {
		vendor, product, _ := strings.Cut(strings.ToUpper(d.id), ":")
		if strings.HasPrefix(modalias, "pci:v0000"+vendor+"d0000"+product) {
			return d.driver
		}
	}
	return ""
}

// Hardware lists a node's devices as lspci -n does; empty where the NIC's numbers are not
// known here. Left out is the board's IDE controller, at which there is never a disk.
func (s BootSpec) Hardware() string {
	model, _, _ := strings.Cut(s.nic(), ",")
	adapter, known := adapters()[model]
	if !known {
		return ""
	}
	var b strings.Builder
	if s.arch() == "arm64" {
		b.WriteString("00:00.0 0600: 1b36:0008\n") // the board "virt"
	} else {
		b.WriteString("00:00.0 0600: 8086:1237 (rev 02)\n00:01.0 0601: 8086:7000\n00:01.3 0680: 8086:7113 (rev 03)\n")
	}
	slot := 2
	for range s.nics() {
		fmt.Fprintf(&b, "00:%02x.0 0200: %s\n", slot, adapter.id)
		slot++
	}
	if s.Root == RootVirtio {
		fmt.Fprintf(&b, "00:%02x.0 0100: 1af4:1001\n", slot)
	}
	return b.String()
}
