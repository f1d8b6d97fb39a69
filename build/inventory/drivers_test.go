package inventory

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/modload"
)

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

func chooseDrivers(x *modload.Index, tree fs.FS, profiles []modload.Profile,
	list []List,
) (reduced []modload.Profile, notes []string, err error) {
	c, err := OpenChoice(x, tree)
	if err != nil {
		return nil, nil, err
	}
	return c.Choose(profiles, list)
}
