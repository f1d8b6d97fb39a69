package kotest

import (
	"debug/elf"
	"encoding/binary"
	"slices"
)

// A byteOrder reads, writes and appends.
type byteOrder interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// withAddends is the type of sections of relocations that hold their addends.
const withAddends elf.SectionType = 4

// A writer collects the sections of an object file.
type writer struct {
	module   Module
	order    byteOrder
	sections []section
	symbols  []symbol // local ones are moved to the front
	strings  []byte
	tables   []relocations
	linked   bool // a program, no object
}

type section struct {
	name       string
	kind       elf.SectionType
	flags      elf.SectionFlag
	data       []byte
	link, info int
	entry      int
	addr       int
}

type symbol struct {
	name    int
	bind    elf.SymBind
	kind    elf.SymType
	section int
	value   int
}

type relocation struct {
	offset, symbol, addend int
}

// relocations become a section when the places of all symbols are known.
type relocations struct {
	section int
	list    []relocation
}

func (w *writer) long() int {
	if w.module.Bits32 {
		return 4
	}
	return 8
}

func (w *writer) word(b []byte, v int) []byte {
	if w.module.Bits32 {
		return w.order.AppendUint32(b, uint32(v)) //nolint:gosec // test files are small
	}
	return w.order.AppendUint64(b, uint64(v)) //nolint:gosec // not negative
}

// add returns the index of a new section.
func (w *writer) add(name string, kind elf.SectionType, flags elf.SectionFlag, data []byte) int {
	w.sections = append(w.sections, section{name: name, kind: kind, flags: flags, data: data})
	return len(w.sections) - 1
}

// symbol returns the number of a new symbol, as relocate takes it.
func (w *writer) symbol(name string, bind elf.SymBind, section, value int) int {
	w.symbols = append(w.symbols, symbol{name: len(w.strings), bind: bind, section: section, value: value})
	w.strings = append(append(w.strings, name...), 0)
	return len(w.symbols) - 1
}

func (w *writer) sectionSymbol(section int) int {
	w.symbols = append(w.symbols, symbol{bind: elf.STB_LOCAL, kind: elf.STT_SECTION, section: section})
	return len(w.symbols) - 1
}

func (w *writer) relocate(name string, target int, list []relocation) {
	kind, prefix, words := withAddends, ".rel"+"a", 3
	if w.module.InPlace {
		kind, prefix, words = elf.SHT_REL, ".rel", 2
	}
	index := w.add(prefix+name, kind, elf.SHF_INFO_LINK, nil)
	w.sections[index].info, w.sections[index].entry = target, words*w.long()
	w.tables = append(w.tables, relocations{section: index, list: list})
}

// file puts all together: header, sections, section headers.
func (w *writer) file() []byte {
	places := w.writeSymbols()
	for _, t := range w.tables {
		var data []byte
		for _, r := range t.list {
			data = w.word(data, r.offset)
			if w.module.Bits32 {
				data = w.word(data, places[r.symbol]<<8|1)
			} else {
				data = w.word(data, places[r.symbol]<<32|1)
			}
			if !w.module.InPlace {
				data = w.word(data, r.addend)
			}
		}
		w.sections[t.section].data = data
	}
	names := w.add(".shstrtab", elf.SHT_STRTAB, 0, nil)
	text := []byte{0}
	nameAt := make([]int, len(w.sections))
	for i := 1; i < len(w.sections); i++ {
		nameAt[i] = len(text)
		text = append(append(text, w.sections[i].name...), 0)
	}
	w.sections[names].data = text

	header := 64
	if w.module.Bits32 {
		header = 52
	}
	file := make([]byte, header)
	offsets := make([]int, len(w.sections))
	for i := 1; i < len(w.sections); i++ {
		file = append(file, make([]byte, -len(file)&7)...)
		offsets[i] = len(file)
		file = append(file, w.sections[i].data...)
	}
	file = append(file, make([]byte, -len(file)&7)...)
	at := len(file)
	for i, s := range w.sections {
		file = w.order.AppendUint32(file, uint32(nameAt[i])) //nolint:gosec // test files are small
		file = w.order.AppendUint32(file, uint32(s.kind))
		file = w.word(file, int(s.flags))
		file = w.word(file, s.addr)
		file = w.word(file, offsets[i])
		file = w.word(file, len(s.data))
		file = w.order.AppendUint32(file, uint32(s.link)) //nolint:gosec // an index
		file = w.order.AppendUint32(file, uint32(s.info)) //nolint:gosec // an index
		file = w.word(file, 1)
		file = w.word(file, s.entry)
	}
	copy(file, w.header(at, names))
	return file
}

// writeSymbols adds the symbol table and returns the place of each symbol in
// it: the local ones must be first.
func (w *writer) writeSymbols() []int {
	order := make([]int, 0, len(w.symbols))
	for _, local := range []bool{true, false} {
		for i, s := range w.symbols {
			if (i == 0 || s.bind == elf.STB_LOCAL) == local {
				order = append(order, i)
			}
		}
	}
	places := make([]int, len(w.symbols))
	locals := 0
	var table []byte
	for place, i := range order {
		s := w.symbols[i]
		places[i] = place
		if i == 0 || s.bind == elf.STB_LOCAL {
			locals++
		}
		info := elf.ST_INFO(s.bind, s.kind)
		table = w.order.AppendUint32(table, uint32(s.name)) //nolint:gosec // test files are small
		if w.module.Bits32 {
			table = w.order.AppendUint32(table, uint32(s.value)) //nolint:gosec // test files are small
			table = w.order.AppendUint32(table, 0)
			table = append(table, info, 0)
			table = w.order.AppendUint16(table, uint16(s.section)) //nolint:gosec // an index
			continue
		}
		table = append(table, info, 0)
		table = w.order.AppendUint16(table, uint16(s.section)) //nolint:gosec // an index
		table = w.word(table, s.value)
		table = w.word(table, 0)
	}
	symtab := w.add(".symtab", elf.SHT_SYMTAB, 0, table)
	strtab := w.add(".strtab", elf.SHT_STRTAB, 0, slices.Clone(w.strings))
	size := 24
	if w.module.Bits32 {
		size = 16
	}
	w.sections[symtab].link, w.sections[symtab].info, w.sections[symtab].entry = strtab, locals, size
	for _, t := range w.tables {
		w.sections[t.section].link = symtab
	}
	return places
}

func (w *writer) header(sections, names int) []byte {
	machine := w.module.Machine
	if machine == 0 {
		machine = elf.EM_X86_64
	}
	class, header, entry := elf.ELFCLASS64, 64, 64
	if w.module.Bits32 {
		class, header, entry = elf.ELFCLASS32, 52, 40
	}
	order := elf.ELFDATA2LSB
	if w.module.BigEndian {
		order = elf.ELFDATA2MSB
	}
	b := append([]byte(elf.ELFMAG), byte(class), byte(order), byte(elf.EV_CURRENT))
	b = append(b, make([]byte, 16-len(b))...)
	kind := elf.ET_REL
	if w.linked {
		kind = elf.ET_EXEC
	}
	b = w.order.AppendUint16(b, uint16(kind))
	b = w.order.AppendUint16(b, uint16(machine))
	b = w.order.AppendUint32(b, uint32(elf.EV_CURRENT))
	b = w.word(b, 0)
	b = w.word(b, 0)
	b = w.word(b, sections)
	b = w.order.AppendUint32(b, 0)
	for _, v := range []int{header, 0, 0, entry, len(w.sections), names} {
		b = w.order.AppendUint16(b, uint16(v)) //nolint:gosec // small
	}
	return b
}
