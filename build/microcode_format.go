package build

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Intel's update: a header of 48 bytes, data, and an optional table of further
// signatures (Intel SDM, volume 3, "Microcode Update Facilities"; the kernel's
// arch/x86/include/asm/cpu.h, struct microcode_header_intel).
const (
	intelHeader      = 48
	intelDefaultData = 2000 // where the header says 0
	intelExtHeader   = 20
	intelExtEntry    = 12
)

// parseIntelMicrocode checks the updates of a blob as the kernel does before it
// uses one (intel_microcode_sanity_check), and lists them.
func parseIntelMicrocode(data []byte) ([]microcodeUpdate, error) {
	var updates []microcodeUpdate
	le := binary.LittleEndian
	for offset := 0; offset < len(data); {
		rest := data[offset:]
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("byte %d: %s", offset, fmt.Sprintf(format, args...))
		}
		if len(rest) < intelHeader {
			return nil, wrong("%d bytes are left, a header has %d: it is cut off, or no microcode",
				len(rest), intelHeader)
		}
		if version, loader := le.Uint32(rest), le.Uint32(rest[20:]); version != 1 || loader != 1 {
			return nil, wrong("neither Intel's nor AMD's microcode (header version %d, loader %d, both must be 1)",
				version, loader)
		}
		dataSize, total := int64(le.Uint32(rest[28:])), int64(le.Uint32(rest[32:]))
		if dataSize == 0 {
			dataSize, total = intelDefaultData, intelHeader+intelDefaultData
		}
		if total < intelHeader+dataSize || total%4 != 0 || dataSize%4 != 0 || total > int64(len(rest)) {
			return nil, wrong("an update of %d bytes with %d of data, %d are left: it is cut off or damaged",
				total, dataSize, len(rest))
		}
		update := rest[:total]
		if sum32(update[:intelHeader+dataSize]) != 0 {
			return nil, wrong("the checksum of the update is wrong: it is damaged")
		}
		u := microcodeUpdate{signature: le.Uint32(update[12:]), revision: le.Uint32(update[4:])}
		updates = append(updates, u)
		more, err := intelExtended(update[intelHeader+dataSize:])
		if err != nil {
			return nil, wrong("%v", err)
		}
		for _, signature := range more {
			if signature != u.signature {
				updates = append(updates, microcodeUpdate{signature: signature, revision: u.revision})
			}
		}
		offset += int(total)
	}
	if updates == nil {
		return nil, errors.New("it is empty")
	}
	return slices.Compact(updates), nil
}

// intelExtended reads the table of further signatures after the data.
func intelExtended(table []byte) ([]uint32, error) {
	if len(table) == 0 {
		return nil, nil
	}
	le := binary.LittleEndian
	if len(table) < intelExtHeader {
		return nil, errors.New("the table of signatures is cut off")
	}
	count := int64(le.Uint32(table))
	if need := intelExtHeader + count*intelExtEntry; need != int64(len(table)) {
		return nil, fmt.Errorf("the table of signatures has %d bytes, %d signatures need %d", len(table), count, need)
	}
	if sum32(table) != 0 {
		return nil, errors.New("the checksum of the table of signatures is wrong: it is damaged")
	}
	var list []uint32
	for entry := range slices.Chunk(table[intelExtHeader:], intelExtEntry) {
		list = append(list, le.Uint32(entry))
	}
	return list, nil
}

// sum32 adds up the words, modulo 2^32.
func sum32(data []byte) uint32 {
	sum := uint32(0)
	for word := range slices.Chunk(data, 4) {
		sum += binary.LittleEndian.Uint32(word)
	}
	return sum
}

// AMD's container: a magic number, a table of processors, then patches, each
// section after its type and length (the kernel's arch/x86/kernel/cpu/microcode/amd.c). A
// blob may hold several containers.
const (
	amdMagic     = 0x00414d44 // "DMA\0"
	amdSection   = 8
	amdTypeTable = 0
	amdTypePatch = 1
	amdEntry     = 16
	amdPatch     = 64 // header of a patch
)

func isAMDMicrocode(data []byte) bool {
	return len(data) >= 4 && binary.LittleEndian.Uint32(data) == amdMagic
}

// parseAMDMicrocode walks the containers of a blob and lists their patches, one
// for each processor that the table maps to it.
func parseAMDMicrocode(data []byte) ([]microcodeUpdate, error) {
	var (
		updates []microcodeUpdate
		cpus    map[uint16][]uint32 // signatures by AMD's number
	)
	le := binary.LittleEndian
	for offset := 0; offset < len(data); {
		wrong := func(format string, args ...any) error {
			return fmt.Errorf("byte %d: %s", offset, fmt.Sprintf(format, args...))
		}
		if isAMDMicrocode(data[offset:]) {
			offset += 4
			cpus = nil
		}
		rest := data[offset:]
		if len(rest) < amdSection {
			return nil, wrong("%d bytes are left, a section has %d at least: it is cut off", len(rest), amdSection)
		}
		kind, size := le.Uint32(rest), int64(le.Uint32(rest[4:]))
		if size > int64(len(rest)-amdSection) {
			return nil, wrong("a section of %d bytes, but only %d are left: it is cut off", size, len(rest)-amdSection)
		}
		body := rest[amdSection : amdSection+size]
		switch {
		case kind == amdTypeTable && cpus == nil:
			cpus = make(map[uint16][]uint32)
			for ; len(body) >= amdEntry && le.Uint32(body) != 0; body = body[amdEntry:] {
				id := le.Uint16(body[12:])
				cpus[id] = append(cpus[id], le.Uint32(body))
			}
		case kind == amdTypePatch && cpus != nil && size >= amdPatch:
			id, revision := le.Uint16(body[24:]), le.Uint32(body[4:])
			if cpus[id] == nil {
				updates = append(updates, microcodeUpdate{amdID: id, revision: revision})
			}
			for _, signature := range cpus[id] {
				updates = append(updates, microcodeUpdate{signature: signature, revision: revision, amdID: id})
			}
		default:
			return nil, wrong("a section of type %d with %d bytes where %s must be: it is damaged",
				kind, size, amdExpected(cpus == nil))
		}
		offset += amdSection + int(size)
	}
	if updates == nil {
		return nil, errors.New("a container of AMD without patches")
	}
	return updates, nil
}

func amdExpected(first bool) string {
	if first {
		return "the table of processors (type 0)"
	}
	return fmt.Sprintf("a patch (type 1, at least %d bytes)", amdPatch)
}
