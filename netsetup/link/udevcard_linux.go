package link

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// A sysTree is sysfs, where it is mounted: /sys, except for tests.
type sysTree string

// What the kernel says about who gave an interface its name (name_assign_type of
// Documentation/ABI/testing/sysfs-class-net, NET_NAME_* of include/uapi/linux/netdevice.h).
const (
	nameEnumerated  = 1
	namePredictable = 2
)

// card reads what names an interface. What cannot be read is treated as missing, as udev does.
func (s sysTree) card(name string) card {
	dir := filepath.Join(string(s), "class/net", name)
	c := card{VF: -1, Alias: -1, OwnAlias: -1}
	path, ok := follow(dir)
	if !ok {
		return c
	}
	dir = path // links are relative to where they are
	c.Path = "/sys" + strings.TrimPrefix(path, string(s))
	c.Type = uint16(number(dir, "type", 0))
	c.DevType = uevent(dir, "DEVTYPE")
	c.Stacked = text(dir, "iflink") != text(dir, "ifindex")
	// It names an interface only where there is no dev_port, and ib_ipoib logs who reads it on another port
	// than the first (dev_id_show of drivers/infiniband/ulp/ipoib/ipoib_main.c).
	if c.DevPort = number(dir, "dev_port", 0); c.DevPort == 0 {
		c.DevID = number(dir, "dev_id", 0)
	}
	c.PortName = text(dir, "phys_port_name")
	if number(dir, "addr_assign_type", -1) == 0 { // NET_ADDR_PERM
		if mac, err := ParseHardwareAddr(text(dir, "address")); err == nil {
			c.MAC = mac
		}
	}
	// The file cannot be read where the driver says nothing.
	assigned := number(dir, "name_assign_type", nameEnumerated)
	c.Kept = assigned >= namePredictable
	c.Above = s.above(path)
	c.OwnAlias = s.alias(dir)
	for _, b := range c.Above {
		if b.Subsystem == "pci" {
			c.Slots = s.slots()
			break
		}
	}
	if own, ok := follow(filepath.Join(dir, "device")); ok {
		c.Alias = s.alias(own)
		s.virtual(&c, own)
	}
	return c
}

// above are the devices above a directory: those directories that have a file
// uevent (sd_device_get_parent of systemd).
func (s sysTree) above(path string) []busDevice {
	var all []busDevice
	root := filepath.Join(string(s), "devices")
	for dir := filepath.Dir(path); strings.HasPrefix(dir, root+"/"); dir = filepath.Dir(dir) {
		if _, err := os.Lstat(filepath.Join(dir, "uevent")); err == nil {
			all = append(all, s.device(dir))
		}
	}
	return all
}

func (s sysTree) device(dir string) busDevice {
	b := busDevice{Name: filepath.Base(dir), DevType: uevent(dir, "DEVTYPE")}
	if target, err := os.Readlink(filepath.Join(dir, "subsystem")); err == nil {
		b.Subsystem = filepath.Base(target)
	}
	if b.Subsystem != "pci" {
		return b
	}
	b.PCI.Index = number(dir, "acpi_index", -1)
	if b.PCI.Index < 0 {
		b.PCI.Index = number(dir, "index", -1)
	}
	b.PCI.ARI = number(dir, "ari_enabled", 0) == 1
	// Base class, subclass and interface; the subclass of bridges to PCI is 4.
	b.PCI.Bridge = number(dir, "class", 0)>>8&0xff == 4
	b.PCI.Sun = number(dir, "firmware_node/sun", 0)
	if f, err := kernfile.Open(filepath.Join(dir, "config")); err == nil {
		// Bit 7 of the header type (PCI_HEADER_TYPE of
		// include/uapi/linux/pci_regs.h).
		head := make([]byte, 0x0f)
		n, _ := f.Read(head)
		b.PCI.Multifunction = n == len(head) && head[0x0e]&0x80 != 0
		_ = f.Close()
	}
	return b
}

// slots are the hotplug slots whose names are numbers.
func (s sysTree) slots() []pciSlot {
	dir := filepath.Join(string(s), "bus/pci/slots")
	entries, err := kernfile.ReadDir(dir)
	if err != nil {
		return nil // a machine without
	}
	var slots []pciSlot
	for _, e := range entries {
		n, err := strconv.ParseUint(e.Name(), 10, 31)
		if address := text(dir, e.Name()+"/address"); err == nil && address != "" {
			slots = append(slots, pciSlot{Number: int(n), Address: address})
		}
	}
	return slots
}

// virtual finds the physical function of a virtual one, which the device is or
// belongs to.
func (s sysTree) virtual(c *card, own string) {
	if target, ok := follow(filepath.Join(own, "subsystem")); ok && filepath.Base(target) == "virtio" {
		own = filepath.Dir(own)
	}
	physical, ok := follow(filepath.Join(own, "physfn"))
	if !ok {
		return
	}
	links, err := filepath.Glob(filepath.Join(physical, "virtfn*"))
	if err != nil {
		return
	}
	for _, link := range links {
		n, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(link), "virtfn"))
		if target, ok := follow(link); err == nil && ok && target == own {
			c.VF, c.Physical = n, append([]busDevice{s.device(physical)}, s.above(physical)...)
			return
		}
	}
}

// alias is the number of a device in the aliases of the device tree: ethernet1
// is 1. One that has none is 0, unless there is an ethernet0 as well.
func (s sysTree) alias(dir string) int {
	base := filepath.Join(string(s), "firmware/devicetree/base")
	node, ok := follow(filepath.Join(dir, "of_node"))
	if !ok || !strings.HasPrefix(node, base+"/") {
		return -1
	}
	aliases, err := kernfile.ReadDir(filepath.Join(base, "aliases"))
	if err != nil {
		return -1
	}
	exists := func(name string) bool {
		_, err := os.Lstat(filepath.Join(base, "aliases", name))
		return err == nil
	}
	for _, a := range aliases {
		digits, ok := strings.CutPrefix(a.Name(), "ethernet")
		if !ok || strings.TrimRight(text(base, "aliases/"+a.Name()), "\x00") != strings.TrimPrefix(node, base) {
			continue
		}
		if digits == "" {
			digits = "0"
		}
		n, err := strconv.Atoi(digits)
		if err != nil || n == 0 && exists("ethernet") && exists("ethernet0") {
			return -1
		}
		return n
	}
	return -1
}

// follow is where a link leads. Those of sysfs are relative, and there is no further link on the
// way if there is none in the directory they lie in.
func follow(link string) (string, bool) {
	target, err := os.Readlink(link)
	if err != nil {
		return "", false
	}
	if !filepath.IsAbs(target) {
		target = filepath.Join(filepath.Dir(link), target)
	}
	return target, true
}

// text is a file of one line, empty if it cannot be read.
func text(dir, name string) string {
	b, err := kernfile.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// number is a file with a number, decimal or prefixed with 0x.
func number(dir, name string, none int) int {
	v, err := strconv.ParseInt(text(dir, name), 0, 64)
	if err != nil {
		return none
	}
	return int(v)
}

// uevent is a line of the file uevent.
func uevent(dir, key string) string {
	for line := range strings.Lines(text(dir, "uevent")) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), key+"="); ok {
			return value
		}
	}
	return ""
}
