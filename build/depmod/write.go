package depmod

import (
	"bytes"
	"fmt"
	"strings"
)

// writeIndexes writes all texts but modules.symbols.
func writeIndexes(mods []*module) *Indexes {
	var dep, alias, softdep, weakdep, devname bytes.Buffer
	alias.WriteString("# Aliases extracted from modules themselves.\n")
	softdep.WriteString("# Soft dependencies extracted from modules themselves.\n")
	x := &Indexes{}
	for i, m := range mods {
		dep.WriteString(m.Path + ":")
		for _, d := range m.closure(len(mods) + 1 + i) {
			dep.WriteString(" " + d.Path)
		}
		dep.WriteByte('\n')
		for _, f := range m.info {
			switch f.Key {
			case "alias":
				alias.WriteString("alias " + f.Value + " " + m.Name + "\n")
			case "softdep":
				softdep.WriteString("softdep " + m.Name + " " + f.Value + "\n")
			case "weakdep":
				if weakdep.Len() == 0 {
					weakdep.WriteString("# Weak dependencies extracted from modules themselves.\n")
				}
				weakdep.WriteString("weakdep " + m.Name + " " + f.Value + "\n")
			}
		}
		if node := m.deviceNode(); node != "" {
			if devname.Len() == 0 {
				devname.WriteString("# Device nodes to trigger on-demand module loading.\n")
			}
			devname.WriteString(node)
		}
	}
	x.Dep, x.Alias, x.Softdep, x.Weakdep, x.Devname = dep.Bytes(), alias.Bytes(), softdep.Bytes(), weakdep.Bytes(),
		devname.Bytes()
	return x
}

// deviceNode is the module's line of modules.devname: what its aliases
// "devname:NAME" and "char-major-MAJOR-MINOR" or "block-major-..." say.
func (m *module) deviceNode() string {
	name, kind := "", ""
	var major, minor uint32
	for _, f := range m.info {
		if f.Key != "alias" {
			continue
		}
		if after, ok := strings.CutPrefix(f.Value, "devname:"); ok {
			name = after
		}
		for _, k := range [...]string{"char", "block"} {
			var a, b uint32
			if n, _ := fmt.Sscanf(f.Value, k+"-major-%d-%d", &a, &b); n == 2 {
				kind, major, minor = k[:1], a, b
			}
		}
		if name != "" && kind != "" {
			return fmt.Sprintf("%s %s %s%d:%d\n", m.Name, name, kind, major, minor)
		}
	}
	return ""
}
