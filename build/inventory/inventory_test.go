package inventory

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/modload"
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

// What a machine is, written and read again.
func TestHostInventory(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	sysfs := fstest.MapFS{
		"bus/pci/devices/0000:00:03.0/modalias": file("pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00\n"),
		"bus/pci/devices/0000:00:04.0/modalias": file("pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00\n"),
		"bus/cpu/devices/cpu0/online":           file("1\n"),
		"devices/system/cpu/modalias":           file("cpu:type:x86,ven0000fam0006mod003F:feature:,0000\n"),
		"bus/memory/devices/memory0/online":     file("1\n"),
		"class/dmi/id/product_name":             file("Standard PC\x1b[2J\n"),
		"class/net/lo/address":                  file("00:00:00:00:00:00\n"),
		"class/net/eth0/address":                file("52:54:00:12:34:56\n"),
		"class/net/eth0/device/vendor":          file("0x1af4\n"),
	}
	v, err := Host(sysfs, "6.1.0-test")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := v.WriteText(&out); err != nil {
		t.Fatal(err)
	}
	const want = `# nodisk inventory
# Linux 6.1.0-test
# product Standard PC\x1b[2J
# network 52:54:00:12:34:56
cpu:type:x86,ven0000fam0006mod003F:feature:,0000
pci:v00001AF4d00001041sv00001AF4sd00001100bc02sc00i00
virtio:d00000001v00001AF4
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Fatalf("-want +got:\n%s", diff)
	}
	again, err := Parse("host", &out)
	if err != nil {
		t.Fatal(err)
	}
	for i := range again.Devices {
		again.Devices[i].Line = 0
	}
	if diff := cmp.Diff(v, again); diff != "" {
		t.Errorf("read again (-want +got):\n%s", diff)
	}
	if _, err := Host(fstest.MapFS{}, ""); err == nil || !strings.Contains(err.Error(), "/sys") {
		t.Errorf("without sysfs: %v", err)
	}
}

// debianIndex is the index of the kernel under test.
func debianIndex(t *testing.T) (*modtree.Tree, *modload.Index) {
	t.Helper()
	tree, err := modtree.Open(buildtest.KernelDir(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := modload.Open(tree.FS, tree.Release)
	if err != nil {
		t.Fatal(err)
	}
	return tree, x
}

// A device of which the subsystem is not known is served by all modules whose
// pattern may match: of those for the whole modalias none is lost.
func TestMatchUnknownFields(t *testing.T) {
	tree, x := debianIndex(t)
	a, err := OpenAliases(tree.FS, tree.Release)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i, pattern := range a.pci {
		if i%7 != 0 {
			continue
		}
		whole, _ := unknownPCI().known(pattern)
		short := whole
		short[pciSubvendor], short[pciSubdevice], short[pciInterface] = "*", "*", "*"
		got := a.Match(x, Device{Modalias: short.modalias()})
		for _, want := range x.Match(whole.modalias()) {
			if tried++; !strings.Contains(" "+strings.Join(got, " ")+" ", " "+want+" ") {
				t.Errorf("%s: %s is lost; there are %v", short.modalias(), want, got)
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d modules were compared", tried)
	}
	// A pattern that wants a subsystem: e100 of Intel, by vendor and device.
	if got := a.Match(x, Device{Modalias: "pci:v000014E4d00001657sv*sd*bc02sc00i*"}); len(got) != 1 || got[0] != "tg3" {
		t.Errorf("a BCM5719 is served by %v, want tg3", got)
	}
}

func TestDeviceKind(t *testing.T) {
	for alias, want := range map[string]string{
		"pci:v00008086d00001572sv*sd*bc02sc00i*":                "pci 8086:1572 network adapter",
		"pci:v000015B3d0000101Bsv*sd*bc02sc07i*":                "pci 15b3:101b InfiniBand adapter",
		"pci:v000015B3d00006274sv*sd*bc0Csc06i*":                "pci 15b3:6274 InfiniBand adapter",
		"pci:v00008086d0000A352sv00001028sd00000871bc01sc06i01": "pci 8086:a352 storage controller",
		"pci:v00008086d000024F0sv*sd*bc02sc08i*":                "pci 8086:24f0 Omni-Path adapter",
		"pci:v0000434Ed00000001sv*sd*bc02sc08i*":                "pci 434e:0001 Omni-Path adapter",
		// a fabric of somebody else's
		"pci:v000010EEd0000903Fsv*sd*bc02sc08i*": "pci 10ee:903f network adapter",
		"pci:v00001AF4d00001041sv*sd*bc02sc00i*": "pci 1af4:1041 virtio device 1",
		"virtio:d00000001v00001AF4":              "virtio 1 network adapter",
		"virtio:d00000002v00001AF4":              "virtio 2 storage controller",
		"vmbus:635161f83edfc546913ff2d2f965ed0e": "vmbus 635161f83edfc546913ff2d2f965ed0e " +
			"network adapter",
		"xen:vbd":                   "xen vbd storage controller",
		"acpi:PNP0C0A:":             "acpi PNP0C0A:",
		"cpu:type:x86,ven0000fam06": "processor",
	} {
		if got := (Device{Modalias: alias}).String(); got != want {
			t.Errorf("%s: %q, want %q", alias, got, want)
		}
	}
}

// Only what the node has goes into an image of the whole of eth.
func TestChooseDrivers(t *testing.T) {
	tree, x := debianIndex(t)
	choose := func(profiles, inventory string) (map[string]bool, []string, error) {
		t.Helper()
		var list []modload.Profile
		for name := range strings.SplitSeq(profiles, ",") {
			p, ok := modload.LookupProfile(name)
			if !ok {
				t.Fatalf("no profile %s", name)
			}
			list = append(list, p)
		}
		v, err := Parse("node.txt", strings.NewReader(inventory))
		if err != nil {
			t.Fatal(err)
		}
		list, notes, err := chooseDrivers(x, tree.FS, list, []List{v})
		if err != nil {
			return nil, nil, err
		}
		inside := make(map[string]bool)
		for _, p := range list {
			mods, err := x.Select(p)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range mods {
				inside[m.Name] = true
			}
		}
		return inside, notes, nil
	}
	for name, tt := range map[string]struct {
		profiles, inventory string
		in, out             string
		note                string
	}{
		"server": {
			"eth,iscsi,ext4", "01:00.0 0200: 14e4:1657\n02:00.0 0107: 1000:0097\n03:00.0 0300: 102b:0536\n" +
				"00:14.0 0c03: 8086:a36d\n",
			"tg3 mpt3sas iscsi_tcp ext4 crc32c_generic sd_mod", "e1000e igb virtio_pci mlx5_core mgag200 " +
				"xhci_pci usbnet", "",
		},
		"emulator": {"virt,ext4", "pci:v00008086d00007010sv00001AF4sd00001100bc01sc01i80\nacpi:PNP0700:\n" +
			"virtio:d00000001v00001AF4\n", "ata_piix virtio_net", "floppy", ""},
		"virtual": {
			"eth,nfs", "00:03.0 0200: 1af4:1041\n", "virtio_pci virtio_net nfsv3",
			"e1000 tg3 usbcore fnic libfc", "",
		},
		"ConnectX-3, InfiniBand": {
			"ib,mlx4,iscsi,ext4", "01:00.0 0280: 15b3:1003\n", "mlx4_core mlx4_en mlx4_ib ib_ipoib ib_uverbs",
			"ib_mthca mlx5_core", "",
		},
		"ConnectX-6, InfiniBand": {
			"eth,ib,iscsi", "01:00.0 0207: 15b3:101b\n", "mlx5_core mlx5_ib ib_ipoib",
			"mlx4_core mlx4_ib", "",
		},
		// What an adapter needs comes by itself, whatever the profiles.
		"ConnectX-6 alone": {
			"nfs", "41:00.0 0207: 15b3:101b\n", "mlx5_core mlx5_ib ib_ipoib nfsv3",
			"mlx4_core ib_umad", "",
		},
		"ConnectX-3 alone": {
			"nfs", "41:00.0 0280: 15b3:1003\n", "mlx4_core mlx4_en mlx4_ib ib_ipoib",
			"mlx5_core", "",
		},
		"ConnectX-3 of class 0207": {"nfs", "41:00.0 0207: 15b3:1003\n", "mlx4_core mlx4_ib ib_ipoib", "mlx4_en", ""},
		"ConnectX-3, Ethernet":     {"nfs", "41:00.0 0200: 15b3:1003\n", "mlx4_core mlx4_en", "mlx4_ib ib_ipoib", ""},
		"ConnectX-6, no class": {
			"nfs", "pci:v000015B3d0000101Bsv*sd*bc*sc*i*\n", "mlx5_core mlx5_ib ib_ipoib",
			"mlx4_core", "no network adapter is known as one",
		},
		"mthca":      {"nfs", "41:00.0 0c06: 15b3:6278\n", "ib_mthca ib_ipoib", "mlx4_core", ""},
		"True Scale": {"nfs", "41:00.0 0207: 1077:7322\n", "ib_qib ib_ipoib", "mlx4_core", ""},
		"Omni-Path":  {"nfs", "41:00.0 0208: 8086:24f0\n", "hfi1 ib_ipoib", "opa_vnic", ""},
		// Nobody knows the driver as one of such an adapter: its class tells.
		"another's InfiniBand": {
			"nfs", "41:00.0 0207: 8086:1572\n", "i40e ib_ipoib", "mlx4_core",
			"pci 8086:1572 InfiniBand adapter: what its driver i40e needs for an interface is not known; by its " +
				"class it gets ib_ipoib",
		},
		"another's fabric": {
			"nfs", "41:00.0 0208: 8086:1572\n", "i40e ib_ipoib", "mlx4_core",
			"; by its class it gets ib_ipoib",
		},
		"another's Ethernet":   {"nfs", "41:00.0 0200: 8086:1572\n", "i40e", "ib_ipoib", ""},
		"ConnectX-6, Ethernet": {"eth,iscsi", "01:00.0 0200: 15b3:101b\n", "mlx5_core", "mlx5_ib ib_ipoib ib_core", ""},
		"USB adapter": {"eth,iscsi", "usb:v0BDAp8153d3000dc00dsc00dp00icFFiscFFip00in00\n" +
			"pci:v00008086d0000A36Dsv*sd*bc0Csc03i30\n", "r8152 xhci_pci", "tg3", ""},
		"bond and second disk": {"eth,bond,vlan", "01:00.0 0200: 8086:1521\n02:00.0 0108: ffff:0001\n" +
			"04:00.0 0104: abcd:0001\n", "igb bonding 8021q nvme", "ixgbe", "pci abcd:0001 storage controller: no " +
			"module in Linux"},
	} {
		t.Run(name, func(t *testing.T) {
			inside, notes, err := choose(tt.profiles, tt.inventory)
			if err != nil {
				t.Fatal(err)
			}
			for want := range strings.FieldsSeq(tt.in) {
				if !inside[want] {
					t.Errorf("%s is missing", want)
				}
			}
			for not := range strings.FieldsSeq(tt.out) {
				if inside[not] {
					t.Errorf("%s is in the image", not)
				}
			}
			if got := strings.Join(notes, "; "); !strings.Contains(got, tt.note) || (got == "") != (tt.note == "") {
				t.Errorf("notes %q, want %q", got, tt.note)
			}
		})
	}
	_, _, err := choose("eth", "01:00.0 0200: abcd:0001\n02:00.0 0106: 8086:a352\n")
	if err == nil || !strings.Contains(err.Error(), "node.txt: no network adapter has a driver in Linux") ||
		!strings.Contains(err.Error(), "abcd:0001") {
		t.Errorf("without any driver: %v", err)
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

func chooseDrivers(x *modload.Index, tree fs.FS, profiles []modload.Profile,
	list []List,
) (reduced []modload.Profile, notes []string, err error) {
	c, err := OpenChoice(x, tree)
	if err != nil {
		return nil, nil, err
	}
	return c.Choose(profiles, list)
}
