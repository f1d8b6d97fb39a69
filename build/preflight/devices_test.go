package preflight

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// Which modules an adapter needs for an interface, by what is loaded.
func TestLinkable(t *testing.T) {
	x, err := modload.Open(fstest.MapFS{
		"lib/modules/r/modules.dep":     {Data: []byte("a/ib_ipoib.ko:\na/mlx4_core.ko:\na/hfi1.ko:\n")},
		"lib/modules/r/modules.builtin": {Data: []byte("a/mlx5_ib.ko\n")},
	}, "r")
	if err != nil {
		t.Fatal(err)
	}
	const idle = " (it is in the image, and would not load)"
	for _, tt := range []struct {
		device  string // as lspci -n lists it
		drivers string
		more    string // that are loaded, too
		want    string // of the sentence, after the device; empty: there is an interface
	}{
		{"0208: 8086:24f0", "hfi1", "ib_ipoib", ""},
		{"0208: 8086:24f1", "hfi1", "", "Omni-Path adapter: hfi1 makes no interface without ib_ipoib" + idle + ": add --profile opa"},
		{"0c06: 1077:7322", "ib_qib", "", "InfiniBand adapter: ib_qib makes no interface without ib_ipoib" + idle + ": add --profile ib"},
		{"0c06: 15b3:6274", "ib_mthca", "", "InfiniBand adapter: ib_mthca makes no interface without ib_ipoib" + idle + ": add --profile ib"},
		{"0207: 15b3:101b", "mlx5_core", "mlx5_ib ib_ipoib", ""},
		{"0207: 15b3:101b", "mlx5_core", "ib_ipoib", ""}, // mlx5_ib is built in
		{"0207: 15b3:101b", "mlx5_core", "", "InfiniBand adapter: mlx5_core makes no interface without ib_ipoib" + idle + ": add --profile mlx5"},
		{"0200: 15b3:101b", "mlx5_core", "", ""},
		{"0207: 15b3:1003", "mlx4_core", "mlx4_en ib_ipoib", "InfiniBand adapter: mlx4_core makes no interface without mlx4_ib: add --profile ib"},
		{"0207: 15b3:1003", "mlx4_core", "mlx4_en", "InfiniBand adapter: mlx4_core makes no interface without mlx4_ib and ib_ipoib: add --profile ib"},
		{"0280: 15b3:1003", "mlx4_core", "mlx4_en", ""},
		{"0280: 15b3:1003", "mlx4_core", "mlx4_ib ib_ipoib", ""},
		{"0280: 15b3:1003", "mlx4_core", "mlx4_ib", "network adapter: mlx4_core alone makes no interface: add --profile ib for InfiniBand, --profile en for Ethernet"},
		{"0207: abcd:0001", "vendor", "", "InfiniBand adapter: no interface without ib_ipoib" + idle + ": add --profile ib"},
		{"0207: abcd:0001", "vendor", "ib_ipoib", ""},
		{"0200: 8086:1521", "igb", "", ""},
	} {
		v, err := inventory.Parse("node", strings.NewReader("01:00.0 "+tt.device+"\n"))
		if err != nil {
			t.Fatal(err)
		}
		c := &checker{index: x, loaded: make(map[string]bool)}
		drivers := strings.Fields(tt.drivers)
		for _, name := range slices.Concat(drivers, strings.Fields(tt.more)) {
			c.loaded[name] = true
		}
		d := v.Devices[0]
		ok, why := c.linkable(d, d.Kind(), drivers)
		if ok != (tt.want == "") || !strings.HasSuffix(why, tt.want) {
			t.Errorf("%s with %s %s: %v %q, want %q", tt.device, tt.drivers, tt.more, ok, why, tt.want)
		}
	}
}

// Where a list has no classes the driver tells what its device is.
func TestAdapterKind(t *testing.T) {
	x, err := modload.Open(fstest.MapFS{
		"lib/modules/r/modules.dep": {Data: []byte("updates/dkms/mlx5_core.ko:\nkernel/drivers/net/ethernet/x/igb.ko:\nkernel/drivers/infiniband/hw/hfi1/hfi1.ko:\nkernel/drivers/ata/ahci.ko:\n")},
	}, "r")
	if err != nil {
		t.Fatal(err)
	}
	c := &checker{index: x}
	for driver, want := range map[string]inventory.DeviceKind{
		"mlx5_core": inventory.DeviceEthernet, "igb": inventory.DeviceEthernet, "hfi1": inventory.DeviceInfiniBand, "ib_qib": inventory.DeviceInfiniBand, "ahci": 0,
	} {
		if got := c.adapterKind([]string{driver}); got != want {
			t.Errorf("%s: %v, want %v", driver, got, want)
		}
	}
}

// An adapter without a driver in the image is given the profile of its own network.
func TestCheckLackingAdapter(t *testing.T) {
	tree, err := modtree.Open(kernelDir(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	image := openImage(t, makeImage(t, "virt,nfs", nil))
	for device, want := range map[string]string{
		"0207: 15b3:101b": "the kernel has mlx5_core: add --profile mlx5",
		"0207: 15b3:1003": "the kernel has mlx4_core: add --profile ib",
		"0280: 15b3:1003": "the kernel has mlx4_core: add --profile ib for InfiniBand, --profile en for Ethernet",
		"0c06: 15b3:6278": "the kernel has ib_mthca: add --profile ib",
		"0207: 1077:7322": "the kernel has ib_qib: add --profile ib",
		"0208: 8086:24f0": "the kernel has hfi1: add --profile opa",
		"0200: 15b3:101b": "the kernel has mlx5_core: add --profile eth or --module mlx5_core",
	} {
		in := Input{Line: cmdline.Parse("ip=dhcp root=nfs:10.0.0.1:/srv"), Image: image, Inventory: inventoryOf(t, "41:00.0 "+device+"\n"), Tree: tree}
		for _, known := range []bool{true, false} {
			if !known { // by the driver that the machine has
				in.Tree, in.Driver = nil, func(inventory.Device) string { return strings.Fields(want)[3][:len(strings.Fields(want)[3])-1] }
			}
			r, err := Check(t.Context(), in)
			if err != nil {
				t.Fatal(err)
			}
			if _, remedy, _ := strings.Cut(want, ": "); len(r.Faults) != 1 || !strings.HasSuffix(r.Faults[0], ": "+remedy) || known && !strings.HasSuffix(r.Faults[0], want) {
				t.Errorf("%s: %q, want %q", device, r.Faults, want)
			}
		}
	}
}
