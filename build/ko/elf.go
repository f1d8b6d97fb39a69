package ko

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// Of elf(5), as far as modules need it.
const (
	typeRelocatable = 1 // ET_REL

	sectionSymtab = 2 // SHT_SYMTAB
	sectionRela   = 4 // with addends
	sectionNobits = 8 // SHT_NOBITS
	sectionRel    = 9 // without

	indexUndefined = 0      // SHN_UNDEF
	indexReserved  = 0xff00 // SHN_LORESERVE
	indexAbsolute  = 0xfff1 // SHN_ABS
	indexExtended  = 0xffff // SHN_XINDEX

	bindWeak     = 2  // STB_WEAK
	typeRegister = 13 // STT_REGISTER of SPARC: no symbol
)

// nameMax bounds the length of a symbol: KSYM_NAME_LEN is 512.
const nameMax = 1024

// An object is an ELF file whose sections lie within its data.
type object struct {
	data     []byte
	order    binary.ByteOrder
	wide     bool // ELFCLASS64
	machine  uint16
	sections []section
}

type section struct {
	nameAt     uint32
	name       []byte
	kind       uint32
	addr       uint64
	data       []byte // empty for those without bytes in the file
	link, info uint32
}

var errNotELF = errors.New("no ELF file")

// openObject reads the headers. Every section's data is within the file.
func openObject(data []byte) (*object, error) {
	if len(data) < 20 || string(data[:4]) != "\x7fELF" {
		return nil, errNotELF
	}
	o := &object{data: data}
	switch data[4] {
	case 1:
	case 2:
		o.wide = true
	default:
		return nil, fmt.Errorf("ELF class %d is neither 32 nor 64 bit", data[4])
	}
	switch data[5] {
	case 1:
		o.order = binary.LittleEndian
	case 2:
		o.order = binary.BigEndian
	default:
		return nil, fmt.Errorf("ELF byte order %d is neither little nor big", data[5])
	}
	o.machine = o.order.Uint16(data[18:])
	return o, o.readSections()
}

func (o *object) kind() uint16 { return o.order.Uint16(o.data[16:]) }

// word reads an address or offset of the file's class.
func (o *object) word(b []byte) uint64 {
	if o.wide {
		return o.order.Uint64(b)
	}
	return uint64(o.order.Uint32(b))
}

func (o *object) readSections() error {
	header, shoff, size := 52, 32, 40
	if o.wide {
		header, shoff, size = 64, 40, 64
	}
	if len(o.data) < header {
		return errors.New("ELF header is cut off")
	}
	at := o.word(o.data[shoff:])
	entry := int(o.order.Uint16(o.data[header-6:]))
	count := uint64(o.order.Uint16(o.data[header-4:]))
	names := uint32(o.order.Uint16(o.data[header-2:]))
	if at == 0 {
		return errors.New("ELF file has no section headers")
	}
	if entry != size {
		return fmt.Errorf("ELF section headers are %d bytes each, not %d", entry, size)
	}
	if at > uint64(len(o.data)) || uint64(len(o.data))-at < uint64(size) {
		return errors.New("ELF section headers are beyond the end of the file: it is cut off")
	}
	table := o.data[at:]
	// With many sections, count and names are in the first, empty one.
	first, _ := o.readSection(table[:size])
	if count == 0 {
		count = o.sectionSize(table)
	}
	if names == indexExtended {
		names = first.link
	}
	if count > uint64(len(table)/size) {
		return errors.New("ELF section headers are beyond the end of the file: it is cut off")
	}
	o.sections = make([]section, count)
	for i := range o.sections {
		s, err := o.readSection(table[i*size:])
		if err != nil && i > 0 {
			return fmt.Errorf("ELF section %d: %w", i, err)
		}
		o.sections[i] = s
	}
	if uint64(names) >= count {
		return errors.New("ELF file has no names of sections")
	}
	strings := o.sections[names].data
	for i := range o.sections {
		o.sections[i].name = stringAt(strings, uint64(o.sections[i].nameAt))
	}
	return nil
}

func (o *object) sectionSize(b []byte) uint64 {
	if o.wide {
		return o.word(b[32:])
	}
	return o.word(b[20:])
}

func (o *object) readSection(b []byte) (section, error) {
	s := section{nameAt: o.order.Uint32(b), kind: o.order.Uint32(b[4:])}
	var offset uint64
	if o.wide {
		s.addr, offset = o.word(b[16:]), o.word(b[24:])
		s.link, s.info = o.order.Uint32(b[40:]), o.order.Uint32(b[44:])
	} else {
		s.addr, offset = o.word(b[12:]), o.word(b[16:])
		s.link, s.info = o.order.Uint32(b[24:]), o.order.Uint32(b[28:])
	}
	size := o.sectionSize(b)
	if s.kind == sectionNobits || s.kind == 0 {
		return s, nil
	}
	if offset > uint64(len(o.data)) || size > uint64(len(o.data))-offset {
		return s, errors.New("it is beyond the end of the file: the file is cut off")
	}
	s.data = o.data[offset : offset+size : offset+size]
	return s, nil
}

// find returns the index of the first section of a name, or 0.
func (o *object) find(name string) int {
	for i := 1; i < len(o.sections); i++ {
		if string(o.sections[i].name) == name {
			return i
		}
	}
	return 0
}

// section returns the data of the first section of a name.
func (o *object) section(name string) []byte { return o.at(o.find(name)) }

func (o *object) at(i int) []byte {
	if i <= 0 || i >= len(o.sections) {
		return nil
	}
	return o.sections[i].data
}

// A symbol is an entry of the symbol table.
type symbol struct {
	name  []byte
	value uint64
	index uint16 // of its section
	bind  byte
	kind  byte
}

// symtab returns the table of symbols and its strings, nil when there is none.
func (o *object) symtab() (table, strings []byte) {
	for i := range o.sections {
		if s := &o.sections[i]; s.kind == sectionSymtab {
			return s.data, o.at(int(s.link))
		}
	}
	return nil, nil
}

func (o *object) symbolSize() int {
	if o.wide {
		return 24
	}
	return 16
}

func (o *object) symbol(table, strings []byte, i int) symbol {
	b := table[i*o.symbolSize():]
	var s symbol
	var info byte
	if o.wide {
		info, s.index, s.value = b[4], o.order.Uint16(b[6:]), o.order.Uint64(b[8:])
	} else {
		s.value, info, s.index = uint64(o.order.Uint32(b[4:])), b[12], o.order.Uint16(b[14:])
	}
	s.bind, s.kind = info>>4, info&15
	s.name = stringAt(strings, uint64(o.order.Uint32(b)))
	return s
}

// stringAt is the string that ends with NUL at an offset; nil when there is
// none, or a longer one than names are.
func stringAt(table []byte, at uint64) []byte {
	if at >= uint64(len(table)) {
		return nil
	}
	rest := table[at:]
	end := bytes.IndexByte(rest[:min(len(rest), nameMax)], 0)
	if end < 0 {
		return nil
	}
	return rest[:end]
}
