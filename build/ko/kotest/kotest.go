// Package kotest writes kernel module files for tests: ELF relocatable objects
// with all that modpost, the linker and sign-file put into a module, and no
// code. Tools such as depmod and modinfo read them; no kernel loads them.
package kotest

import (
	"debug/elf"
	"encoding/binary"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
)

// A Module is written by [Module.Bytes]. Its zero value with a name is a module
// for amd64.
type Module struct {
	Name     string // as the kernel knows it, with underscores
	Vermagic string // no such record when empty
	// Info are further records of .modinfo: alias, softdep, firmware, import_ns ...
	Info    []ko.Field
	Depends string // the record "depends=", which is always there
	Exports []ko.Symbol
	Imports []ko.Import
	// OutOfTree modules have no record "intree=Y".
	OutOfTree bool

	Machine   elf.Machine // zero: x86-64
	Bits32    bool
	BigEndian bool

	Extended bool // versions in the extended form only
	Both     bool // versions in both forms
	Absolute bool // export tables with pointers, not distances
	InPlace  bool // relocations have their addends in the tables, as on x86-32 and 32-bit Arm
	// NoNamespaces leaves the third field of export entries away, as before Linux 5.4.
	NoNamespaces bool
	// Flags writes GPL exports into __ksymtab with __kflagstab, as newer kernels do.
	Flags bool
	// NoCRCSymbols leaves the symbols "__crc_X" away.
	NoCRCSymbols bool

	Signed bool   // with a PKCS#7 message that names Signer, and signs nothing
	Signer string // "Kernel test key" when empty
	Pad    int    // bytes of .text
}

// Bytes is the module's file.
func (m Module) Bytes() []byte {
	w := newWriter(m)
	if m.Pad > 0 {
		w.add(".text", elf.SHT_PROGBITS, elf.SHF_ALLOC|elf.SHF_EXECINSTR, make([]byte, m.Pad))
	}
	w.add(".modinfo", elf.SHT_PROGBITS, elf.SHF_ALLOC, m.info())
	w.exports()
	w.versions()
	for _, i := range m.Imports {
		if !versionOnly(i.Name) {
			bind := elf.STB_GLOBAL
			if i.Weak {
				bind = elf.STB_WEAK
			}
			w.symbol(i.Name, bind, 0, 0)
		}
	}
	this := make([]byte, 512)
	at := 24
	if m.Bits32 {
		at = 12
	}
	copy(this[at:], m.Name)
	section := w.add(".gnu.linkonce.this_module", elf.SHT_PROGBITS, elf.SHF_ALLOC|elf.SHF_WRITE, this)
	w.symbol("__this_module", elf.STB_GLOBAL, section, 0)
	file := w.file()
	if m.Signed {
		file = append(file, signature(m.Signer)...)
	}
	return file
}

// versionOnly are names that stand in __versions and not in the symbol table.
func versionOnly(name string) bool { return name == "module_layout" }

// info is the section .modinfo.
func (m Module) info() []byte {
	var text strings.Builder
	put := func(key, value string) { text.WriteString(key + "=" + value + "\x00") }
	for _, f := range m.Info {
		put(f.Key, f.Value)
	}
	put("depends", m.Depends)
	if !m.OutOfTree {
		put("intree", "Y")
	}
	put("name", m.Name)
	if m.Vermagic != "" {
		put("vermagic", m.Vermagic)
	}
	return []byte(text.String())
}

// exports writes the tables of exported symbols, their CRCs and strings.
func (w *writer) exports() {
	m := w.module
	if len(m.Exports) == 0 {
		return
	}
	var text []byte
	names, spaces := make([]int, len(m.Exports)), make([]int, len(m.Exports))
	for i, e := range m.Exports {
		names[i] = len(text)
		text = append(append(text, e.Name...), 0)
		spaces[i] = len(text)
		text = append(append(text, e.Namespace...), 0)
	}
	kstrings := w.add("__ksymtab_strings", elf.SHT_PROGBITS, elf.SHF_ALLOC, text)
	stringSymbols := w.sectionSymbol(kstrings)
	data := w.add(".data", elf.SHT_PROGBITS, elf.SHF_ALLOC|elf.SHF_WRITE, make([]byte, 8*len(m.Exports)))

	for _, gpl := range []bool{false, true} {
		var table, crcs, flags []byte
		var relocations []relocation
		suffix := ""
		if gpl {
			suffix = "_gpl"
		}
		crcIndex := len(w.sections) + 2 // after the table and its relocations
		field := w.long()
		if !m.Absolute {
			field = 4
		}
		place := func(symbol, addend int) {
			relocations = append(relocations, relocation{offset: len(table), symbol: symbol, addend: addend})
			table = append(table, make([]byte, field)...)
		}
		for i, e := range m.Exports {
			if m.Flags && gpl || !m.Flags && e.GPL != gpl {
				continue
			}
			symbol := w.symbol(e.Name, elf.STB_GLOBAL, data, 8*i)
			place(symbol, 0)
			place(stringSymbols, names[i])
			if !m.NoNamespaces {
				place(stringSymbols, spaces[i])
			}
			if e.HasCRC && !m.NoCRCSymbols {
				w.symbol("__crc_"+e.Name, elf.STB_LOCAL, crcIndex, len(crcs))
			}
			if e.HasCRC {
				crcs = w.order.AppendUint32(crcs, e.CRC)
			}
			flag := byte(0)
			if e.GPL {
				flag = 1
			}
			flags = append(flags, flag)
		}
		if len(table) == 0 {
			continue
		}
		if m.InPlace {
			for _, r := range relocations {
				w.order.PutUint32(table[r.offset:], uint32(r.addend)) //nolint:gosec // not negative
			}
		}
		index := w.add("__ksymtab"+suffix, elf.SHT_PROGBITS, elf.SHF_ALLOC, table)
		w.relocate("__ksymtab"+suffix, index, relocations)
		if len(crcs) > 0 {
			w.add("__kcrctab"+suffix, elf.SHT_PROGBITS, elf.SHF_ALLOC, crcs)
		}
		if m.Flags {
			w.add("__kflagstab", elf.SHT_PROGBITS, elf.SHF_ALLOC, flags)
		}
	}
}

// versions writes the CRCs of imports in one form or both.
func (w *writer) versions() {
	m := w.module
	var basic, crcs, names []byte
	for _, i := range m.Imports {
		if !i.HasCRC {
			continue
		}
		entry := make([]byte, 64)
		if m.Bits32 {
			w.order.PutUint32(entry, i.CRC)
		} else {
			w.order.PutUint64(entry, uint64(i.CRC))
		}
		copy(entry[w.long():63], i.Name)
		if len(i.Name) < 64-w.long() { // longer ones have no place there
			basic = append(basic, entry...)
		}
		crcs = w.order.AppendUint32(crcs, i.CRC)
		names = append(append(names, i.Name...), 0)
	}
	if len(crcs) == 0 {
		return
	}
	if !m.Extended || m.Both {
		w.add("__versions", elf.SHT_PROGBITS, elf.SHF_ALLOC, basic)
	}
	if m.Extended || m.Both {
		w.add("__version_ext_crcs", elf.SHT_PROGBITS, elf.SHF_ALLOC, crcs)
		w.add("__version_ext_names", elf.SHT_PROGBITS, elf.SHF_ALLOC, names)
	}
}

func newWriter(m Module) *writer {
	w := &writer{module: m, order: binary.LittleEndian, sections: make([]section, 1), symbols: make([]symbol, 1),
		strings: []byte{0}}
	if m.BigEndian {
		w.order = binary.BigEndian
	}
	return w
}
