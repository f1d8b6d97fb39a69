package inventory

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

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
