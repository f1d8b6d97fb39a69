package rootinit

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"

	"github.com/nodisk/nodisk/init/rootfs"
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

var errNoProgram = errors.New("neither a program nor a script")

// Garbled is the rest of an error about the root's init where the server is more
// likely to be wrong than the root: READ_PLUS of nfs-ganesha, which Linux uses
// since 6.6 where CONFIG_NFS_V4_2_READ_PLUS is set (nfs-ganesha issue 1188).
func Garbled(m rootfs.Mounted, err error) string {
	if m.Type != "nfs "+string(rootfs.NFS42) || !errors.Is(err, errNoProgram) {
		return ""
	}
	return "; if the server has it right: nfs-ganesha before 6.2 garbles NFS 4.2 for kernels from 6.6 on, mount " +
		"with vers=4.1"
}

// checkProgram looks at the first bytes of a program: one that the kernel
// would refuse (ENOEXEC) is found while the initramfs is still there to say so.
// Further formats would be those of binfmt_misc, which nobody has set up by then.
// What is neither is often not what is stored: a server may garble it.
func checkProgram(head []byte) error {
	switch {
	case bytes.HasPrefix(head, []byte("#!")):
		return nil
	case len(head) < elfHeader || !bytes.HasPrefix(head, []byte("\x7fELF")):
		return fmt.Errorf("%w: it begins with %q", errNoProgram, head[:min(len(head), 16)])
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
