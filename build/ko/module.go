// Package ko reads kernel module files: ELF relocatable objects as modpost
// makes them, unpacked.
//
// [Parse] tells what decides whether a module can be loaded: its records in
// .modinfo, the symbols it exports and wants with their CRCs, and its
// signature. [ParseKernelELF] and [ParseSymvers] tell the same of the kernel's
// own symbols. All are pure, check every offset, and use memory in proportion
// to their input.
//
// Sources: include/linux/module.h, include/linux/export-internal.h,
// scripts/mod/modpost.c, kernel/module/main.c, include/linux/module_signature.h.
package ko

import (
	"strings"
)

// A Module is what the file of a kernel module says about itself.
type Module struct {
	Name      string // with underscores: "crc32c_intel"
	Arch      string // as GOARCH spells it; "machine 22" for one that Go does not know
	Info      []Field
	Exports   []Symbol
	Imports   []Import // undefined symbols in the order of the symbol table, then module_layout and the like
	Versions  VersionForm
	Signature *Signature // nil: unsigned
}

// A Field is one record of .modinfo.
type Field struct {
	Key, Value string
}

// A Symbol is one that a module or the kernel exports.
type Symbol struct {
	Name      string
	CRC       uint32
	HasCRC    bool // false without CONFIG_MODVERSIONS
	GPL       bool // only for modules with a licence compatible with the GPL
	Namespace string
	From      string // of Module.symvers only: "vmlinux", or the module's path without ending
}

// An Import is a symbol that others must export.
type Import struct {
	Name   string
	Weak   bool // may stay undefined
	CRC    uint32
	HasCRC bool
}

// A VersionForm tells how the CRCs of imports are written. A module may have
// both forms.
type VersionForm uint8

// The forms of symbol versions.
const (
	NoVersions       VersionForm = 0
	BasicVersions    VersionForm = 1 << 0 // __versions, 64 bytes a symbol
	ExtendedVersions VersionForm = 1 << 1 // __version_ext_crcs and __version_ext_names, Linux 6.14
)

// Field returns the first value of a key of .modinfo, or "".
func (m *Module) Field(key string) string {
	for _, f := range m.Info {
		if f.Key == key {
			return f.Value
		}
	}
	return ""
}

// Fields returns all values of a key of .modinfo.
func (m *Module) Fields(key string) []string {
	var values []string
	for _, f := range m.Info {
		if f.Key == key {
			values = append(values, f.Value)
		}
	}
	return values
}

// Vermagic is the whole of it: "6.1.0-56-amd64 SMP preempt mod_unload
// modversions ", with the blank at the end.
func (m *Module) Vermagic() string { return m.Field("vermagic") }

// Release is the kernel release of the vermagic.
func (m *Module) Release() string {
	release, _, _ := strings.Cut(m.Vermagic(), " ")
	return release
}

// InTree reports whether the module was built with the kernel.
func (m *Module) InTree() bool { return m.Field("intree") == "Y" }

// Depends are the modules whose symbols this one uses, as modpost saw it, with
// underscores.
func (m *Module) Depends() []string {
	var names []string
	for _, list := range m.Fields("depends") {
		for name := range strings.SplitSeq(list, ",") {
			if name != "" {
				names = append(names, underscores(name))
			}
		}
	}
	return names
}

// Firmware are the files below /lib/firmware that the module may ask for.
func (m *Module) Firmware() []string { return m.Fields("firmware") }

// Aliases are patterns of modaliases and other names, as written.
func (m *Module) Aliases() []string { return m.Fields("alias") }

func underscores(name string) string { return strings.ReplaceAll(name, "-", "_") }
