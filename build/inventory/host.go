package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/namelist"
)

// Host is the inventory of a running machine. sysfs is rooted at /sys;
// release is the running kernel's. Devices of all buses are looked at, as
// /init does.
func Host(sysfs fs.FS, release string) (List, error) {
	p := inventoryParser{List: List{Name: "host", Release: release}, seen: make(map[string]bool)}
	buses, err := fs.ReadDir(sysfs, "bus")
	if err != nil {
		return List{}, fmt.Errorf("take inventory: list buses: %w; is sysfs mounted on /sys?", err)
	}
	for _, bus := range buses {
		dir := "bus/" + bus.Name() + "/devices"
		devices, err := fs.ReadDir(sysfs, dir)
		if err != nil {
			continue // a bus that has just gone
		}
		for _, device := range devices {
			if alias := sysText(sysfs, dir+"/"+device.Name()+"/modalias"); isModalias(alias) {
				p.add(alias, 0)
			}
		}
	}
	if alias := sysText(sysfs, "devices/system/cpu/modalias"); isModalias(alias) {
		p.add(alias, 0) // a bus of which the devices have none
	}
	if p.Devices == nil {
		return List{}, errors.New("take inventory: no device of this machine has a modalias; is sysfs " +
			"mounted on /sys?")
	}
	p.deriveVirtio()
	for _, name := range []string{"class/dmi/id/product_name", "firmware/devicetree/base/model"} {
		if p.Product == "" {
			p.Product = escape.Text(strings.Trim(sysText(sysfs, name), "\x00"))
		}
	}
	p.Network = hostAddresses(sysfs)
	slices.SortFunc(p.Devices, func(a, b Device) int { return strings.Compare(a.Modalias, b.Modalias) })
	return p.List, nil
}

// hostAddresses are those of the network interfaces that have a device of a bus
// after them, sorted.
func hostAddresses(sysfs fs.FS) []string {
	interfaces, err := fs.ReadDir(sysfs, "class/net")
	if err != nil {
		return nil // a kernel without network
	}
	var list []string
	for _, i := range interfaces {
		dir := "class/net/" + i.Name()
		if _, err := fs.Stat(sysfs, dir+"/device"); err != nil {
			continue
		}
		if address := sysText(sysfs, dir+"/address"); address != "" {
			list = append(list, address)
		}
	}
	return namelist.Sorted(list)
}

// sysText is the text of a file of sysfs, empty if there is none.
func sysText(sysfs fs.FS, name string) string {
	text, err := fs.ReadFile(sysfs, name)
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(text))
}
