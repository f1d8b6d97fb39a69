package inventory

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func modaliases(v List) []string {
	var list []string
	for _, d := range v.Devices {
		list = append(list, d.Modalias)
	}
	return list
}

// Every way to list the same adapter leads to the same fields, as far as the
// listing has them.
func TestParseInventory(t *testing.T) {
	const (
		whole = "pci:v00008086d00001572sv00008086sd00000008bc02sc00i00"
		short = "pci:v00008086d00001572sv*sd*bc02sc00i*"
	)
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"modalias": {
			whole + "\n\n# comment\n" + whole + "\nvirtio:d00000001v00001AF4\n",
			[]string{whole, "virtio:d00000001v00001AF4"},
		},
		"small letters": {
			"pci:v00001af4d00001050sv00001af4sd00001100bc03sc00i00",
			[]string{"pci:v00001AF4d00001050sv00001AF4sd00001100bc03sc00i00", "virtio:d00000010v00001AF4"},
		},
		"uevent": {"MODALIAS=" + whole, []string{whole}},
		"classes": {
			"input:b0003v0627-e0,1,ram4\ndmi:bvnSeaBIOS:bvr1\nacpi:PNP0A08:\n",
			[]string{"acpi:PNP0A08:"},
		},
		"lspci -n":  {"01:00.0 0200: 8086:1572 (rev 01)\n", []string{short}},
		"lspci -Dn": {"0000:01:00.0 0200: 8086:1572\r\n", []string{short}},
		"lspci -nn": {"01:00.0 Ethernet controller [0200]: Intel Corporation X710 [for 10GbE] SFP+ " +
			"[8086:1572] (rev 01)\n", []string{short}},
		"lspci -nv": {"01:00.0 0200: 8086:1572 (rev 01) (prog-if 00)\n\tSubsystem: 8086:0008\n\tFlags: bus " +
			"master\n\tMemory at [8086:ffff]\n\n", []string{whole}},
		"lspci -nnk": {
			"01:00.0 Ethernet controller [0200]: Intel X710 [8086:1572]\n\tSubsystem: Intel [a] " +
				"[8086:0008]\n\tKernel driver in use: i40e\n",
			[]string{"pci:v00008086d00001572sv00008086sd00000008bc02sc00i*"},
		},
		"lspci -nmm": {`01:00.0 "0200" "8086" "1572" -r01 -p00 "8086" "0008"` + "\n", []string{whole}},
		"lspci -nnmm": {
			`01:00.0 "Ethernet controller [0200]" "Intel Corporation [8086]" "X710 [1572]" -r01 "" ""`,
			[]string{short},
		},
		"lspci -nvmm": {"Slot:\t01:00.0\nClass:\t0200\nVendor:\t8086\nDevice:\t1572\nSVendor:\t8086\n" +
			"SDevice:\t0008\nRev:\t01\nProgIf:\t00\nIOMMUGroup:\t7\n\n", []string{whole}},
		"lspci -nnvmm": {"Slot:\t01:00.0\nClass:\tEthernet controller [0200]\nVendor:\tIntel [8086]\n" +
			"Device:\tX710 [1572]\n", []string{short}},
		"busybox":    {"01:00.0 Class 0200: 8086:1572\n", []string{short}},
		"busybox -k": {"01:00.0 Class 0200: 8086:1572 i40e\n", []string{short}},
		"busybox -mk": {
			`01:00.0 "Class 0200" "8086" "1572" "8086" "0008" "i40e"`,
			[]string{"pci:v00008086d00001572sv00008086sd00000008bc02sc00i*"},
		},
		"without pci.ids": {"0001:01:00.0 Class 0200: Device 8086:1572 (rev 03)\n", []string{short}},
		"unknown device": {"01:00.0 Ethernet controller: Device 8086:1572 (rev 03) (prog-if 00)\n\tSubsystem: " +
			"Device 8086:0008\n", []string{whole}},
		"unknown, -nn": {"01:00.0 Class [0200]: Device [8086:1572] (rev 03)\n", []string{short}},
		"unknown, -mm": {
			`01:00.0 "Class 0200" "Vendor 8086" "Device 1572" -r03 -p00 "Red Hat, Inc." "Device 1100"`,
			[]string{"pci:v00008086d00001572sv*sd00001100bc02sc00i00"},
		},
		"unknown, -vmm": {
			"Slot:\t01:00.0\nClass:\tEthernet controller\nVendor:\tVendor 8086\nDevice:\tDevice 1572\n",
			[]string{short},
		},
		"unknown class": {
			"01:00.0 Class ff00: Device 8086:1572\n02:00.0 Thing: Device 8086:1573\n",
			[]string{"pci:v00008086d00001572sv*sd*bcFFsc00i*", "pci:v00008086d00001573sv*sd*bc*sc*i*"},
		},
		"domain": {"10000:e1:00.0 0108: 8086:0953\n", []string{"pci:v00008086d00000953sv*sd*bc01sc08i*"}},
		"lspci -x": {
			"01:00.0 Ethernet controller: Intel Corporation X710 (rev 01)\n00: 86 80 72 15 07 05 10 00 03 00 00 02 " +
				"00 00 00 00\n10: 00 00 a0 fe 00 00 00 00 00 00 00 00 00 00 00 00\n\n",
			[]string{"pci:v00008086d00001572sv*sd*bc02sc00i00"},
		},
		"/proc/bus/pci/devices": {"0100\t80861572\tb" + strings.Repeat("\t               0",
			14) + "\ti40e\n0008\t1af41045\t0" + strings.Repeat("\t0", 14) + "\t\n", []string{
			"pci:v00008086d00001572sv*sd*bc*sc*i*", "pci:v00001AF4d00001045sv*sd*bc*sc*i*", "virtio:d00000005v00001AF4",
		}},
		"virtio": {
			"00:03.0 0200: 1af4:1041\n00:04.0 0100: 1af4:1004\n",
			[]string{
				"pci:v00001AF4d00001041sv*sd*bc02sc00i*", "pci:v00001AF4d00001004sv*sd*bc01sc00i*",
				"virtio:d00000001v00001AF4", "virtio:d00000008v00001AF4",
			},
		},
		"virtio, subsystem": {
			"pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00",
			[]string{"pci:v00001AF4d00001000sv00001AF4sd00000001bc02sc00i00", "virtio:d00000001v00001AF4"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			v, err := Parse("node.txt", strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, modaliases(v)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// All lines that are not understood are told, each with its number and what it
// probably is.
func TestParseInventoryErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"empty": {"# nothing\n", []string{"node.txt: no device is in it; take it on the node by nodisk inventory"}},
		"names": {
			"00:03.0 Ethernet controller: Red Hat, Inc. Virtio network device\n",
			[]string{"line 1", "take lspci -nn"},
		},
		"rubbish": {
			"pci:v00008086d0000157\n\nvirtio:d1v2\nlspci: command not found\n",
			[]string{"line 1", "line 3", "line 4"},
		},
		"vmm": {
			"Slot:\t01:00.0\nClass:\tEthernet controller\nVendor:\tIntel\n",
			[]string{"line 1", "line 3", "take lspci -nvmm"},
		},
		"tree": {"-[0000:00]-+-00.0\n           +-1f.2\n", []string{
			"line 1", "line 2",
			"the tree of lspci -t, which has no numbers of devices: take lspci -nn",
		}},
		"lsusb": {"Bus 001 Device 002: ID 0bda:8153 Realtek\n", []string{
			"line 1",
			"a line of lsusb: of USB only modaliases are understood",
		}},
		"lsusb -t": {
			"/:  Bus 02.Port 1: Dev 1, Class=root_hub\n    |__ Port 1: Dev 2, If 0\n",
			[]string{"line 1", "line 2", "a line of lsusb"},
		},
		"mm": {
			`00:03.0 "Ethernet controller" "Red Hat, Inc." "Virtio network device"`,
			[]string{"line 1", "without the numbers of vendor and device: take lspci -nn"},
		},
		"-x": {
			"00:03.0 Ethernet controller: Red Hat\n10: 00 00\n00:04.0 0200: 1af4:1041\n",
			[]string{"line 1", "take lspci -nn"},
		},
		"indented": {"\tSubsystem: 8086:0008\n", []string{"line 1"}},
		"many":     {strings.Repeat("what is this\n", 30), []string{"line 10", "20 more lines"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("node.txt", strings.NewReader(tt.text))
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("no %q in: %v", want, err)
				}
			}
		})
	}
}

// Of the listing of another program there is one error, with what to take instead.
func TestParseInventoryForeign(t *testing.T) {
	for text, want := range map[string]string{
		"node7\n    description: Rack Mount Chassis\n    product: PowerEdge\n  *-core\n       description: " +
			"Motherboard\n  *-network\n": "line 2: the listing of lshw",
		"Bus info          Device     Class          Description\n=====\npci@0000:01:00.0  eth0       " +
			"network        X710\n": "line 1: the listing of lshw",
		"H/W path      Device  Class   Description\n====\n" +
			"/0            bus     X11\n": "line 1: the listing of lshw",
		"{\n  \"id\" : \"node7\",\n" +
			"  \"class\" : \"system\"\n}\n": "line 1: the listing of lshw",
		"[\n  {\n    \"id\" : " +
			"\"node7\"\n  }\n]\n": "line 1: the listing of lshw",
		"<?xml version=\"1.0\" standalone=\"yes\" ?>\n" +
			"<!-- generated by lshw -->\n<list>\n": "line 1: the listing of lshw",
		"01: None 00.0: 10105 BIOS\n  [Created at bios.186]\n  Unique ID: rdCR.lZF+r4EgHp4\n" +
			"  Hardware Class: bios\n": "line 2: the listing of hwinfo",
		"CA 'mlx5_0'\n\tCA type: MT4123\n\tNumber of ports: 1\n\tPort 1:\n" +
			"\t\tState: Active\n": "line 1: the listing of ibstat",
		"hca_id:\tmlx5_0\n" +
			"\ttransport:\t\t\tInfiniBand (0)\n": "line 1: the listing of ibv_devinfo",
		"01:00.0 0200: 8086:1572\n\nCA 'mlx5_0'\n" +
			"\tCA type: MT4123\n": "line 3: the listing of ibstat",
	} {
		_, err := Parse("node.txt", strings.NewReader(text))
		whole := "read inventory: node.txt " + want + ", which is not understood here: take it on the node by nodisk " +
			"inventory, by cat /sys/bus/*/devices/*/modalias, or by lspci -nn"
		if err == nil || err.Error() != whole {
			t.Errorf("%q: %v\nwant %s", text, err, whole)
		}
	}
}

// A file that begins with a byte order mark is read as one without.
func TestParseInventoryMark(t *testing.T) {
	for _, text := range []string{"01:00.0 0200: 8086:1572\r\n", "# nodisk inventory\n01:00.0 0200: 8086:1572\n"} {
		if v, err := Parse("node.txt", strings.NewReader("\ufeff"+text)); err != nil || len(v.Devices) != 1 {
			t.Errorf("%q: %v, %v", text, v.Devices, err)
		}
	}
}

func FuzzParseInventory(f *testing.F) {
	for _, name := range []string{"lspci-nnk.txt", "pc-virtio.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte("Slot:\t01:00.0\nClass:\t0200\nVendor:\t8086\nDevice:\t1572\n\n01:00.0 \"0200\" \"8086\" \"1572\" " +
		"-p00 \"\" \"\"\n"))
	f.Add([]byte("01:00.0 X [0200]: [a] Y [8086:1572] (prog-if 01 [x])\n\tSubsystem: [1234:5678]\n# network a\n" +
		"# product b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		v, err := Parse("fuzz", bytes.NewReader(text))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := v.WriteText(&out); err != nil {
			t.Fatal(err)
		}
		written := out.String()
		again, err := Parse("fuzz", &out)
		if err != nil {
			t.Fatalf("what was written cannot be read: %v\n%s", err, written)
		}
		if len(again.Devices) != len(v.Devices) {
			t.Fatalf("%d devices, %d when read again:\n%s", len(v.Devices), len(again.Devices), written)
		}
		for _, d := range v.Devices {
			if d.String() == "" || len((Aliases{}).Of(d)) != 1 {
				t.Errorf("%q", d.Modalias)
			}
		}
	})
}

// What is not an inventory at all is refused by a sentence.
func TestParseInventoryLongLine(t *testing.T) {
	_, err := Parse("f", strings.NewReader("# one\n"+strings.Repeat("x", 1<<24)))
	if err == nil || !strings.Contains(err.Error(), "read inventory f: line 2 is longer than 1024 KiB") {
		t.Errorf("error %v", err)
	}
}

// One that is too long is refused, and no part of it taken for the whole.
func TestParseInventoryTooLong(t *testing.T) {
	_, err := Parse("f", strings.NewReader("pci:v00001AF4d00001041sv*sd*bc02sc00i*\n"+
		strings.Repeat("# comment\n", inventoryMax/10)))
	if err == nil || err.Error() != "read inventory f: it is longer than 16 MiB: it is not the text file "+
		"that it should be" {
		t.Errorf("error %v", err)
	}
}
