package boot

import (
	"encoding/binary"
	"fmt"
	"runtime"
	"slices"
	"strconv"
)

// elfHeader is the part of an ELF file that names its machine: e_ident and
// e_type, then e_machine at offset 18 (elf(5)).
const elfHeader = 20

// Machines of <linux/elf-em.h>.
const (
	elf386     = 3
	elfARM     = 40
	elfX8664   = 62
	elfAArch64 = 183
)

// checkProgram looks at the first bytes of a program: one that the kernel
// would refuse is found while the initramfs is still there to say so. Scripts
// and formats unknown here pass.
func checkProgram(head []byte) error {
	if len(head) < elfHeader || string(head[:4]) != "\x7fELF" {
		return nil
	}
	order := binary.ByteOrder(binary.LittleEndian)
	if head[5] == 2 { // EI_DATA is ELFDATA2MSB
		order = binary.BigEndian
	}
	is := order.Uint16(head[18:])
	if runs := machines(runtime.GOARCH); runs != nil && !slices.Contains(runs, is) {
		return fmt.Errorf("a program for %s, but this machine runs %s", machineName(is), runtime.GOARCH)
	}
	return nil
}

// machines are those whose programs a kernel of this architecture runs, nil
// when that is not known here.
func machines(goarch string) []uint16 {
	switch goarch {
	case "amd64":
		return []uint16{elfX8664, elf386}
	case "arm64":
		return []uint16{elfAArch64, elfARM}
	default:
		return nil
	}
}

func machineName(m uint16) string {
	switch m {
	case elf386:
		return "386"
	case elfARM:
		return "arm"
	case elfX8664:
		return "amd64"
	case elfAArch64:
		return "arm64"
	default:
		return "ELF machine " + strconv.Itoa(int(m))
	}
}
