package ko

import (
	"cmp"
	"debug/elf"
	"slices"
	"strings"
)

// An exportTable names a section of struct kernel_symbol and that with the
// CRCs.
type exportTable struct{ entries, crcs string }

// exportTables are all. Up to Linux 5.11 there were symbols that are unused, or
// GPL only in the future.
func exportTables() [5]exportTable {
	return [...]exportTable{
		{"__ksymtab", "__kcrctab"},
		{"__ksymtab_gpl", "__kcrctab_gpl"},
		{"__ksymtab_unused", "__kcrctab_unused"},
		{"__ksymtab_unused_gpl", "__kcrctab_unused_gpl"},
		{"__ksymtab_gpl_future", "__kcrctab_gpl_future"},
	}
}

const (
	exportStrings = "__ksymtab_strings"
	// exportFlags has one byte for each entry of __ksymtab where there is no longer a
	// __ksymtab_gpl.
	exportFlags = "__kflagstab"
	flagGPL     = 1 // KSYM_FLAG_GPL_ONLY
)

// A relocation says what a place in a section refers to.
type relocation struct {
	offset  uint64
	section int    // of the target
	target  uint64 // within it
}

// exports reads the tables by their relocations, which tell an entry's parts
// whatever its form is: two or three fields, pointers or distances. First the
// symbol, which is never in __ksymtab_strings, then its name, then perhaps its
// namespace, both there.
func (o *object) exports(table, names []byte, crcs map[string]uint32) []Symbol {
	var list []Symbol
	stringsIndex := o.find(exportStrings)
	text := o.at(stringsIndex)
	flags := o.section(exportFlags)
	for _, t := range exportTables() {
		index := o.find(t.entries)
		if index == 0 {
			continue
		}
		first := len(list)
		fields := 0
		for _, r := range o.relocations(index, table, names) {
			if r.section != stringsIndex {
				fields = 1
				list = append(list, Symbol{GPL: strings.HasSuffix(t.entries, "_gpl")})
				continue
			}
			if fields == 0 {
				continue
			}
			fields++
			s := &list[len(list)-1]
			switch value := stringAt(text, r.target); fields {
			case 2:
				s.Name = string(value)
			case 3:
				s.Namespace = string(value)
			}
		}
		added := list[first:]
		if t.entries == "__ksymtab" && len(flags) == len(added) {
			for i := range added {
				added[i].GPL = flags[i]&flagGPL != 0
			}
		}
		values := o.section(t.crcs)
		for i := range added {
			if crc, ok := crcs[added[i].Name]; ok {
				added[i].CRC, added[i].HasCRC = crc, true
			} else if len(values) == 4*len(added) && !o.hasRelocations(o.find(t.crcs)) {
				added[i].CRC, added[i].HasCRC = o.order.Uint32(values[4*i:]), true
			}
		}
	}
	return slices.DeleteFunc(list, func(s Symbol) bool { return s.Name == "" })
}

func (o *object) hasRelocations(index int) bool { return o.relocationSection(index) != nil }

// relocationSection is the first one that applies to a section.
func (o *object) relocationSection(index int) *section {
	for i := range o.sections {
		if s := &o.sections[i]; (s.kind == elf.SHT_RELA || s.kind == elf.SHT_REL) && int(s.info) == index {
			return s
		}
	}
	return nil
}

// relocations returns those of a section, sorted by their place.
func (o *object) relocations(index int, table, names []byte) []relocation {
	s := o.relocationSection(index)
	if s == nil {
		return nil
	}
	place := o.at(index)
	long := 4
	if o.wide {
		long = 8
	}
	size := 2 * long
	if s.kind == elf.SHT_RELA {
		size = 3 * long
	}
	count := len(table) / o.symbolSize()
	list := make([]relocation, 0, len(s.data)/size)
	for b := s.data; len(b) >= size; b = b[size:] {
		r := relocation{offset: o.word(b)}
		info := o.word(b[long:])
		symbol := info >> 8
		if o.wide {
			symbol = info >> 32
			if o.machine == elf.EM_MIPS && o.order.Uint16([]byte{1, 0}) == 1 { // mips64le has its own order
				symbol = info & 0xffffffff
			}
		}
		if symbol >= uint64(count) {
			continue
		}
		target := o.symbol(table, names, int(symbol)) //nolint:gosec // below count
		r.section, r.target = int(target.index), target.value
		switch {
		case s.kind == elf.SHT_RELA:
			r.target += o.word(b[2*long:])
		case r.offset <= uint64(len(place)) && uint64(len(place))-r.offset >= 4:
			r.target += uint64(o.order.Uint32(place[r.offset:]))
		}
		if !o.wide {
			r.target &= 0xffffffff
		}
		list = append(list, r)
	}
	slices.SortStableFunc(list, func(a, b relocation) int { return cmp.Compare(a.offset, b.offset) })
	return list
}
