package pxe

import (
	"net/url"
	"strings"
)

// grub writes an entry's configuration for GRUB 2.
//
// GRUB's manual has the names grub.cfg-MAC and grub.cfg-IP; Debian's 2.06 and
// those of Red Hat ask for grub.cfg-01-MAC: both are written. It knows an
// InfiniBand port by the address alone.
func (r *renderer) grub(e entry) {
	var b strings.Builder
	b.WriteString("#" + banner(e.what) + "\n")
	if unit, speed := e.serial(); unit != "" {
		b.WriteString("serial --unit=" + unit + " --speed=" + speed + "\nterminal_input serial console\n" +
			"terminal_output serial console\n")
	}
	// Without a device GRUB takes the one it came from.
	base := "/"
	if u, err := url.Parse(r.n.HTTP); err == nil && r.n.HTTP != "" {
		base = "(http," + u.Host + ")" + u.Path
	}
	suffix := ""
	if e.LinuxEFI {
		suffix = "efi"
	}
	b.WriteString("set default=0\nset timeout=0\nmenuentry nodisk {\n  linux" + suffix + " " + base + e.Kernel)
	for w := range strings.FieldsSeq(join(e.words, e.lease(), e.bootIF())) {
		b.WriteString(" " + grubWord(w))
	}
	b.WriteString("\n  initrd" + suffix)
	for _, i := range e.Images {
		b.WriteString(" " + base + i)
	}
	b.WriteString("\n}\n")
	text := []byte(b.String())
	folder := r.n.Loader.GRUB + "/grub.cfg"
	switch {
	case e.node == nil && !e.at.IsValid():
		r.add(folder, e.what, text)
		return
	case e.node != nil && !e.node.infiniBand():
		mac := dashes(e.node.MAC.String())
		r.add(folder+"-"+mac, e.what, text)
		r.add(folder+"-01-"+mac, e.what, text)
	}
	switch {
	case e.node == nil:
		for _, name := range hexNames(e.at) {
			r.add(folder+"-"+name, e.what, text)
		}
	case e.node.IP.IsValid():
		r.add(folder+"-"+hexName(e.node.IP), e.what, text)
	}
}

// grubWord quotes what the shell of GRUB would take apart. The description has
// no quotes in command lines.
func grubWord(w string) string {
	if strings.ContainsAny(w, ";{}|&<>#*?[]()~!") {
		return "'" + w + "'"
	}
	return w
}
