package ko

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/linescan"
)

// ParseKernelELF reads the exported symbols of a kernel: of a vmlinux ELF file
// with section headers, such as the payload of an x86 bzImage. It is an error
// when it exports nothing.
func ParseKernelELF(data []byte) ([]Symbol, error) {
	o, err := openObject(data)
	if err != nil {
		return nil, fmt.Errorf("read kernel: %w", err)
	}
	if o.kind == elf.ET_REL {
		return nil, errors.New("read kernel: it is an object file or a module, no kernel")
	}
	names := o.find(exportStrings)
	if names == 0 {
		return nil, errors.New("read kernel: it has no section __ksymtab_strings: it was built without modules, or " +
			"its sections were stripped")
	}
	var list []Symbol
	for _, t := range exportTables() {
		index := o.find(t.entries)
		if index == 0 || len(o.at(index)) == 0 {
			continue
		}
		crcs, flags := o.section(t.crcs), o.section(exportFlags)
		added, err := o.linkedExports(index, names, len(crcs))
		if err != nil {
			return nil, fmt.Errorf("read kernel: section %s: %w", t.entries, err)
		}
		for i := range added {
			s := &added[i]
			s.GPL = strings.HasSuffix(t.entries, "_gpl")
			if t.entries == "__ksymtab" && len(flags) == len(added) {
				s.GPL = flags[i]&flagGPL != 0
			}
			if len(crcs) == 4*len(added) {
				s.CRC, s.HasCRC = o.order.Uint32(crcs[4*i:]), true
			} else if len(crcs) == 8*len(added) && o.wide {
				s.CRC, s.HasCRC = uint32(o.order.Uint64(crcs[8*i:])), true //nolint:gosec // a CRC in an unsigned long
			}
		}
		list = append(list, added...)
	}
	if len(list) == 0 {
		return nil, errors.New("read kernel: it exports no symbols")
	}
	return list, nil
}

// linkedExports reads a table after linking: the form of its entries is the one
// in which every name is a string of __ksymtab_strings, and there are as many as
// the bytes of CRCs allow.
func (o *object) linkedExports(index, names, crcs int) ([]Symbol, error) {
	long := 4
	if o.wide {
		long = 8
	}
	for _, form := range [...]struct {
		field    int
		distance bool // from the field itself: CONFIG_HAVE_ARCH_PREL32_RELOCATIONS
		fields   int  // value and name, since Linux 5.4 namespace
	}{{4, true, 3}, {4, true, 2}, {long, false, 3}, {long, false, 2}} {
		list := o.linkedForm(index, names, form.field, form.fields, form.distance)
		if list != nil && (crcs == 0 || crcs == 4*len(list) || crcs == long*len(list)) {
			return list, nil
		}
	}
	return nil, errors.New("its entries have no form that is known")
}

func (o *object) linkedForm(index, names, field, fields int, distance bool) []Symbol {
	table, text := &o.sections[index], &o.sections[names]
	size := field * fields
	if len(table.data)%size != 0 {
		return nil
	}
	list := make([]Symbol, 0, len(table.data)/size)
	target := func(at int) uint64 {
		switch {
		case distance:
			return table.addr + uint64(at) +
				uint64(int64(int32(o.order.Uint32(table.data[at:])))) //nolint:gosec // offsets wrap around
		case field == 8:
			return o.order.Uint64(table.data[at:])
		}
		return uint64(o.order.Uint32(table.data[at:]))
	}
	for at := 0; at < len(table.data); at += size {
		name := target(at+field) - text.addr
		value := stringAt(text.data, name) // may be the end of another string: they are merged
		if len(value) == 0 {
			return nil
		}
		s := Symbol{Name: string(value)}
		if fields == 3 {
			s.Namespace = string(stringAt(text.data, target(at+2*field)-text.addr))
		}
		list = append(list, s)
	}
	return list
}

// ParseSymvers reads Module.symvers: lines of CRC, symbol, module, kind of
// export and namespace, apart by tabs. The symbols of all are
// returned, Symbol.From tells whose they are.
func ParseSymvers(r io.Reader) ([]Symbol, error) {
	var list []Symbol
	text := linescan.New(r, linescan.Longest)
	for text.Scan() {
		number := text.Number()
		fields := strings.Split(text.Text(), "\t")
		if len(fields) == 1 && fields[0] == "" {
			continue
		}
		if len(fields) < 4 {
			return nil, fmt.Errorf("read Module.symvers: line %d is not CRC, symbol, module and kind of export "+
				"with tabs between", number)
		}
		crc, err := strconv.ParseUint(strings.TrimPrefix(fields[0], "0x"), 16, 64)
		if err != nil {
			return nil, fmt.Errorf("read Module.symvers: line %d: CRC %q is not a hexadecimal number",
				number, fields[0])
		}
		s := Symbol{Name: fields[1], CRC: uint32(crc), HasCRC: crc != 0, GPL: strings.HasSuffix(fields[3], "_GPL"),
			From: fields[2]} //nolint:gosec // a CRC has 32 bits
		if len(fields) > 4 {
			s.Namespace = fields[4]
		}
		list = append(list, s)
	}
	if err := text.Err(); err != nil {
		return nil, fmt.Errorf("read Module.symvers: %w", err)
	}
	return list, nil
}
