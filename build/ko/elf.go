package ko

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
)

// Records and numbers are those of debug/elf; its File is not used. It is not made for files
// of strangers, as its documentation says: it copies the name of each section and symbol whatever
// their lengths are, so half a MiB of headers that share one long name take it 1 GiB and seconds.
// Here sections and names are parts of the file's data.

// nameMax bounds the length of a symbol: KSYM_NAME_LEN is 512.
const nameMax = 1024

const typeRegister elf.SymType = 13 // STT_REGISTER of SPARC: no symbol

// An object is an ELF file whose sections lie within its data.
type object struct {
	data     []byte
	order    binary.ByteOrder
	wide     bool // ELFCLASS64
	kind     elf.Type
	machine  elf.Machine
	sections []section
}

type section struct {
	name []byte
	kind elf.SectionType
	addr uint64
	data []byte // empty for those without bytes in the file
	link uint32
	info uint32
}

var errNotELF = errors.New("no ELF file")

// openObject reads the headers. Every section's data is within the file.
func openObject(data []byte) (*object, error) {
	if len(data) < 20 || string(data[:4]) != elf.ELFMAG {
		return nil, errNotELF
	}
	o := &object{data: data}
	switch class := elf.Class(data[elf.EI_CLASS]); class {
	case elf.ELFCLASS32:
	case elf.ELFCLASS64:
		o.wide = true
	default:
		return nil, fmt.Errorf("ELF class %d is neither 32 nor 64 bit", class)
	}
	switch order := elf.Data(data[elf.EI_DATA]); order {
	case elf.ELFDATA2LSB:
		o.order = binary.LittleEndian
	case elf.ELFDATA2MSB:
		o.order = binary.BigEndian
	default:
		return nil, fmt.Errorf("ELF byte order %d is neither little nor big", order)
	}
	return o, o.readSections()
}

// record reads one of debug/elf at the beginning of data; false means that there is less.
func (o *object) record(data []byte, record any) bool {
	_, err := binary.Decode(data, o.order, record)
	return err == nil
}

// header reads that of the file, of either class.
func (o *object) header() (h elf.Header64, ok bool) {
	if o.wide {
		ok = o.record(o.data, &h)
		return h, ok
	}
	var n elf.Header32
	ok = o.record(o.data, &n)
	return elf.Header64{
		Type: n.Type, Machine: n.Machine, Shoff: uint64(n.Shoff), Shentsize: n.Shentsize, Shnum: n.Shnum, Shstrndx: n.Shstrndx,
	}, ok
}

// sectionHeader reads one, of either class.
func (o *object) sectionHeader(data []byte) (h elf.Section64, ok bool) {
	if o.wide {
		ok = o.record(data, &h)
		return h, ok
	}
	var n elf.Section32
	ok = o.record(data, &n)
	return elf.Section64{
		Name: n.Name, Type: n.Type, Addr: uint64(n.Addr), Off: uint64(n.Off), Size: uint64(n.Size), Link: n.Link, Info: n.Info,
	}, ok
}

func (o *object) readSections() error {
	h, ok := o.header()
	if !ok {
		return errors.New("ELF header is cut off")
	}
	o.kind, o.machine = elf.Type(h.Type), elf.Machine(h.Machine)
	size := binary.Size(elf.Section32{})
	if o.wide {
		size = binary.Size(elf.Section64{})
	}
	if h.Shoff == 0 {
		return errors.New("ELF file has no section headers")
	}
	if int(h.Shentsize) != size {
		return fmt.Errorf("ELF section headers are %d bytes each, not %d", h.Shentsize, size)
	}
	beyond := errors.New("ELF section headers are beyond the end of the file: it is cut off")
	if h.Shoff > uint64(len(o.data)) {
		return beyond
	}
	table := o.data[h.Shoff:]
	first, ok := o.sectionHeader(table)
	if !ok {
		return beyond
	}
	// With many sections, count and names are in the first, empty one.
	count, names := uint64(h.Shnum), uint32(h.Shstrndx)
	if count == 0 {
		count = first.Size
	}
	if names == uint32(elf.SHN_XINDEX) {
		names = first.Link
	}
	if count > uint64(len(table)/size) {
		return beyond
	}
	o.sections = make([]section, count)
	nameAt := make([]uint32, count)
	for i := range o.sections {
		h, _ := o.sectionHeader(table[i*size:]) // they are all there
		data, err := o.content(h)
		if err != nil && i > 0 {
			return fmt.Errorf("ELF section %d: %w", i, err)
		}
		nameAt[i] = h.Name
		o.sections[i] = section{kind: elf.SectionType(h.Type), addr: h.Addr, data: data, link: h.Link, info: h.Info}
	}
	if uint64(names) >= count {
		return errors.New("ELF file has no names of sections")
	}
	strings := o.sections[names].data
	for i := range o.sections {
		o.sections[i].name = stringAt(strings, uint64(nameAt[i]))
	}
	return nil
}

// content is the part of the file that a section has.
func (o *object) content(h elf.Section64) ([]byte, error) {
	switch size := uint64(len(o.data)); {
	case elf.SectionType(h.Type) == elf.SHT_NOBITS, elf.SectionType(h.Type) == elf.SHT_NULL:
		return nil, nil
	case h.Off > size, h.Size > size-h.Off:
		return nil, errors.New("it is beyond the end of the file: the file is cut off")
	}
	return o.data[h.Off : h.Off+h.Size : h.Off+h.Size], nil
}

// word reads an address or offset of the file's class.
func (o *object) word(b []byte) uint64 {
	if o.wide {
		return o.order.Uint64(b)
	}
	return uint64(o.order.Uint32(b))
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
	index elf.SectionIndex
	bind  elf.SymBind
	kind  elf.SymType
}

// symtab returns the table of symbols and its strings, nil when there is none.
func (o *object) symtab() (table, strings []byte) {
	for i := range o.sections {
		if s := &o.sections[i]; s.kind == elf.SHT_SYMTAB {
			return s.data, o.at(int(s.link))
		}
	}
	return nil, nil
}

func (o *object) symbolSize() int {
	if o.wide {
		return elf.Sym64Size
	}
	return elf.Sym32Size
}

// symbol is number i of a table that has more.
func (o *object) symbol(table, strings []byte, i int) symbol {
	var s elf.Sym64
	if b := table[i*o.symbolSize():]; o.wide {
		o.record(b, &s)
	} else {
		var n elf.Sym32
		o.record(b, &n)
		s = elf.Sym64{Name: n.Name, Info: n.Info, Shndx: n.Shndx, Value: uint64(n.Value)}
	}
	return symbol{
		name: stringAt(strings, uint64(s.Name)), value: s.Value, index: elf.SectionIndex(s.Shndx),
		bind: elf.ST_BIND(s.Info), kind: elf.ST_TYPE(s.Info),
	}
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
