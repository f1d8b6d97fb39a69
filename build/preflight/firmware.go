package preflight

import (
	"io/fs"
	"path"
	"slices"
	"strings"
)

// firmware warns of modules that name firmware of which the image has nothing. A
// module names what all chips of its kind may want, so that some is missing is
// only a note.
func (c *checker) firmware() {
	for name, at := range c.index.Files() {
		if !c.loaded[name] {
			continue
		}
		m := c.Image.fact(at)
		if m == nil {
			continue // it was reported when it loaded
		}
		var missing []string
		wanted := m.Firmware()
		for _, file := range wanted {
			if !c.hasFirmware(file) {
				missing = append(missing, file)
			}
		}
		switch {
		case missing == nil:
		case len(missing) == len(wanted):
			c.doubt(
				"module %s names firmware, and the image has none of it: %s; whether this adapter wants it only "+
					"its driver knows",
				name,
				few(missing),
			)
		default:
			c.note(
				"module %s names firmware that the image does not have: %s; other chips than this node's may want it",
				name,
				few(missing),
			)
		}
	}
}

// few are the first names of a list, and how many there are besides.
func few(names []string) string {
	const most = 4
	if len(names) <= most {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:most], ", ") + " and " + count(len(names)-most, "more")
}

// hasFirmware looks where the kernel does (fw_path in
// drivers/base/firmware_loader/main.c), compressed files too.
func (c *checker) hasFirmware(file string) bool {
	release := c.index.Release()
	for _, dir := range []string{
		"lib/firmware/updates/" + release, "lib/firmware/updates",
		"lib/firmware/" + release, "lib/firmware",
	} {
		for _, ending := range []string{"", ".xz", ".zst"} {
			at := path.Join(dir, file) + ending
			if strings.ContainsAny(file, "*?[") {
				if found, err := fs.Glob(c.Image.files, at); err == nil && found != nil {
					return true
				}
			} else if c.Image.has(at) {
				return true
			}
		}
	}
	return false
}

// softdeps warns about what loaded modules want beside them and the image lacks, where the kernel
// has it.
func (c *checker) softdeps() {
	text, err := fs.ReadFile(c.Image.modules, modulesDir+"/"+c.index.Release()+"/modules.softdep")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "softdep" || !c.loaded[moduleName(words[1])] {
			continue
		}
		wanted := slices.DeleteFunc(
			slices.Clone(words[2:]),
			func(w string) bool { return w == "pre:" || w == "post:" },
		)
		_, absent := c.index.Absent(wanted)
		for _, name := range absent {
			if c.tree == nil {
				continue // most such names exist in no kernel
			}
			if have, _ := c.tree.Absent([]string{name}); have != nil {
				c.doubt("module %s wants %s beside it, which the image lacks: add --module %s", words[1], name, name)
			}
		}
	}
}
