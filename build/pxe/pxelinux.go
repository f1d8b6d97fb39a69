package pxe

import (
	"path"
	"slices"
	"strings"
)

// names are those under which pxelinux looks for the entry, without its directory.
// The order is pxelinux's own.
//
// The first is the hardware type and the address of the firmware's DHCP
// message. On InfiniBand an address of 20 bytes does not fit into it: what is
// there is the six bytes, with either type, or the GUID, or nothing. The IPv4
// address is right in all cases.
func (e entry) names() []string {
	var names []string
	switch d := e.node; {
	case d == nil && !e.at.IsValid():
		return []string{"default"}
	case d == nil:
		return hexNames(e.at)
	case d.infiniBand():
		six, eight := dashes(d.mac().String()), dashes(d.GUID.String())
		names = []string{"20-" + eight, "20-" + six, "01-" + six}
		if d.IP.IsValid() {
			names = append(names, hexName(d.IP))
		}
	default:
		names = []string{"01-" + dashes(d.MAC.String())}
		if d.IP.IsValid() {
			names = append(names, hexName(d.IP))
		}
	}
	return names
}

// pxelinux writes an entry's configuration (https://wiki.syslinux.org/wiki/index.php?title=Config).
func (r *renderer) pxelinux(e entry) {
	var b strings.Builder
	// SERIAL must be the first of all.
	if unit, speed := e.serial(); unit != "" {
		b.WriteString("SERIAL " + unit + " " + speed + "\n")
	}
	b.WriteString("#" + banner(e.what) + "\n")
	// pxelinux.0 has TFTP only.
	base := ""
	if strings.HasPrefix(path.Base(r.n.Loader.BIOS), "lpxelinux") {
		base = r.n.HTTP
	}
	images := slices.Clone(e.Images)
	for i := range images {
		images[i] = base + images[i]
	}
	b.WriteString("DEFAULT nodisk\nPROMPT 0\nLABEL nodisk\n")
	b.WriteString("  KERNEL " + base + e.Kernel + "\n  INITRD " + strings.Join(images, ",") + "\n")
	words, append2 := e.words, e.IPAppend
	if e.node != nil && e.node.infiniBand() && append2&2 != 0 {
		// What pxelinux knows of the port may be nothing but its type.
		words, append2 = join(words, e.bootIF()), append2&^2
	}
	if words != "" {
		b.WriteString("  APPEND " + words + "\n")
	}
	if append2 != 0 {
		b.WriteString("  IPAPPEND " + string(rune('0'+append2)) + "\n")
	}
	text := []byte(b.String())
	for _, name := range e.names() {
		r.add("pxelinux.cfg/"+name, e.what, text)
	}
}
