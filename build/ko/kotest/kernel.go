package kotest

import (
	"debug/elf"

	"github.com/nodisk/nodisk/build/ko"
)

// A Kernel is the ELF file of a kernel with its export tables, and nothing
// else of it.
type Kernel struct {
	Exports []ko.Symbol
	// Text goes into .rodata: the banner, the vermagic, an embedded config.
	Text []byte

	Machine      elf.Machine // zero: x86-64
	Bits32       bool
	BigEndian    bool
	Absolute     bool // pointers, not distances
	NoNamespaces bool // as before Linux 5.4
	Flags        bool // GPL exports in __ksymtab with __kflagstab
}

// Bytes is the vmlinux.
func (k Kernel) Bytes() []byte {
	w := newWriter(Module{Machine: k.Machine, Bits32: k.Bits32, BigEndian: k.BigEndian})
	w.linked = true
	const base, apart = 0x1000000, 0x400000
	place := func(name string, data []byte) {
		i := w.add(name, elf.SHT_PROGBITS, elf.SHF_ALLOC, data)
		w.sections[i].addr = base + apart*i
	}
	place(".rodata", append([]byte("some text\x00"), k.Text...))
	var text []byte
	names, spaces := make([]int, len(k.Exports)), make([]int, len(k.Exports))
	text = append(text, 0) // the namespace of most
	for i, e := range k.Exports {
		names[i] = len(text)
		text = append(append(text, e.Name...), 0)
		if e.Namespace != "" {
			spaces[i] = len(text)
			text = append(append(text, e.Namespace...), 0)
		}
	}
	place("__ksymtab_strings", text)
	at := w.sections[len(w.sections)-1].addr
	for _, gpl := range []bool{false, true} {
		if k.Flags && gpl {
			continue
		}
		suffix := ""
		if gpl {
			suffix = "_gpl"
		}
		here := base + apart*len(w.sections)
		var table, crcs, flags []byte
		refer := func(target int) {
			if k.Absolute {
				table = w.word(table, target)
				return
			}
			table = w.order.AppendUint32(table,
				uint32(int32(target-here-len(table)))) //nolint:gosec // all is within 2 GiB
		}
		for i, e := range k.Exports {
			if !k.Flags && e.GPL != gpl {
				continue
			}
			refer(base + i)
			refer(at + names[i])
			if !k.NoNamespaces {
				refer(at + spaces[i])
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
		place("__ksymtab"+suffix, table)
		place("__kcrctab"+suffix, crcs)
		if k.Flags {
			place("__kflagstab", flags)
		}
	}
	return w.file()
}
