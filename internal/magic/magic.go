package magic

import (
	"debug/elf"
	"encoding/binary"
	"strings"
)

// At reports whether data has the magic at an offset.
func At(data []byte, offset int, magic string) bool {
	return len(data) >= offset+len(magic) && string(data[offset:offset+len(magic)]) == magic
}

// ELFArch is the machine of an ELF file in GOARCH's spelling.
func ELFArch(head []byte) string {
	if len(head) < 20 || string(head[:4]) != elf.ELFMAG {
		return ""
	}
	switch m := elf.Machine(binary.LittleEndian.Uint16(head[18:])); m {
	case elf.EM_X86_64:
		return "amd64"
	case elf.EM_386:
		return "386"
	case elf.EM_AARCH64:
		return "arm64"
	default:
		return strings.ToLower(strings.TrimPrefix(m.String(), "EM_"))
	}
}
