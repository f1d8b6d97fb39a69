package ko

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
)

// Parse reads the file of a module, unpacked. It does not keep data.
func Parse(data []byte) (*Module, error) {
	m, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("read kernel module: %w", err)
	}
	return m, nil
}

func parse(data []byte) (*Module, error) {
	o, err := openObject(data)
	if err != nil {
		return nil, err
	}
	if o.kind != elf.ET_REL {
		return nil, fmt.Errorf("ELF type %d is not that of a relocatable object", o.kind)
	}
	m := &Module{Arch: o.arch(), Info: parseInfo(o.section(".modinfo")), Signature: parseSignature(data)}
	if len(m.Info) == 0 {
		return nil, errors.New("it has no .modinfo: it is an object file, but no module")
	}
	if m.Name = o.moduleName(); m.Name == "" {
		m.Name = underscores(m.Field("name"))
	}
	v, err := o.versions()
	if err != nil {
		return nil, err
	}
	m.Versions = v.form
	table, strings := o.symtab()
	if len(table)%o.symbolSize() != 0 {
		return nil, errors.New("its symbol table is not a whole number of symbols")
	}
	crcs := make(map[string]uint32)
	for i := 1; i < len(table)/o.symbolSize(); i++ {
		s := o.symbol(table, strings, i)
		if len(s.name) == 0 {
			continue
		}
		if s.index != elf.SHN_UNDEF {
			if name, ok := bytes.CutPrefix(s.name, []byte("__crc_")); ok {
				if crc, ok := o.crcOf(s); ok {
					crcs[string(name)] = crc
				}
			}
			continue
		}
		if s.kind == typeRegister || bytes.HasPrefix(s.name, []byte("__crc_")) {
			continue
		}
		crc, has := v.take(s.name)
		m.Imports = append(m.Imports, Import{Name: string(s.name), Weak: s.bind == elf.STB_WEAK, CRC: crc, HasCRC: has})
	}
	m.Imports = append(m.Imports, v.rest()...)
	m.Exports = o.exports(table, strings, crcs)
	return m, nil
}

// parseInfo reads the records of .modinfo: "key=value", each ended by NUL, with
// more of them between for alignment.
func parseInfo(data []byte) []Field {
	var info []Field
	for len(data) > 0 {
		var record []byte
		record, data, _ = bytes.Cut(data, []byte{0})
		if len(record) == 0 {
			continue
		}
		key, value, _ := bytes.Cut(record, []byte{'='})
		info = append(info, Field{Key: string(key), Value: string(value)})
	}
	return info
}

// moduleName is the name in struct module, which the kernel goes by:
// enum module_state, struct list_head, then the name.
func (o *object) moduleName() string {
	this := o.section(".gnu.linkonce.this_module")
	at, size := 12, 60
	if o.wide {
		at, size = 24, 56
	}
	if len(this) < at+size {
		return ""
	}
	name, _, _ := bytes.Cut(this[at:at+size], []byte{0})
	return underscores(string(name))
}

// crcOf is the value of a symbol "__crc_X": the CRC itself, or its place.
func (o *object) crcOf(s symbol) (uint32, bool) {
	if s.index == elf.SHN_ABS {
		return uint32(s.value), true //nolint:gosec // an absolute symbol holds a CRC of 32 bits
	}
	if s.index >= elf.SHN_LORESERVE {
		return 0, false
	}
	place := o.at(int(s.index))
	if uint64(len(place)) < 4 || s.value > uint64(len(place))-4 {
		return 0, false
	}
	return o.order.Uint32(place[s.value:]), true
}

// arch spells the machine as GOARCH does.
func (o *object) arch() string {
	little := o.order.Uint16([]byte{1, 0}) == 1
	switch {
	case o.machine == elf.EM_X86_64 && o.wide:
		return "amd64"
	case o.machine == elf.EM_AARCH64:
		return "arm64"
	case o.machine == elf.EM_386:
		return "386"
	case o.machine == elf.EM_ARM:
		return "arm"
	case o.machine == elf.EM_PPC64 && little:
		return "ppc64le"
	case o.machine == elf.EM_PPC64:
		return "ppc64"
	case o.machine == elf.EM_S390 && o.wide:
		return "s390x"
	case o.machine == elf.EM_RISCV && o.wide:
		return "riscv64"
	case o.machine == elf.EM_LOONGARCH && o.wide:
		return "loong64"
	case o.machine == elf.EM_MIPS:
		name := "mips"
		if o.wide {
			name += "64"
		}
		if little {
			name += "le"
		}
		return name
	}
	return fmt.Sprintf("machine %d", o.machine)
}
