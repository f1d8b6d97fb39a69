package cpiotest

import (
	"bytes"
	"fmt"
	"syscall"
	"testing"

	"github.com/nodisk/nodisk/build/compress"
)

// A File file is an entry of an archive that a test makes.
type File struct {
	Name         string
	Mode         uint32 // st_mode
	UID, GID     uint32
	Ino, NLink   uint32 // entries of one Ino and an NLink above 1 are names of one file
	Major, Minor uint32 // of a device
	Target       string // of a symbolic link
	Data         []byte
}

// Archive makes a cpio archive with hard links, as cpio -o does.
func Archive(files ...File) []byte {
	var out bytes.Buffer
	pad := func() { out.Write(make([]byte, -out.Len()&3)) }
	for _, f := range append(files, File{Name: "TRAILER!!!"}) {
		data := f.Data
		if f.Mode&syscall.S_IFMT == syscall.S_IFLNK {
			data = []byte(f.Target)
		}
		out.WriteString("070701")
		for _, v := range []uint32{
			f.Ino, f.Mode, f.UID, f.GID, max(f.NLink, 1), 0, uint32(len(data)), 0, 0, f.Major, f.Minor,
			uint32(len(f.Name) + 1), 0, //nolint:gosec // small
		} {
			fmt.Fprintf(&out, "%08x", v)
		}
		out.WriteString(f.Name + "\x00")
		pad()
		out.Write(data)
		pad()
	}
	return out.Bytes()
}

// Dir is a directory.
func Dir(name string) File {
	return File{Name: name, Mode: syscall.S_IFDIR | 0o700, NLink: 2}
}

// Link is a symbolic link.
func Link(name, target string) File {
	return File{Name: name, Mode: syscall.S_IFLNK | 0o777, Target: target}
}

// Regular is a regular file.
func Regular(name, data string) File {
	return File{Name: name, Mode: syscall.S_IFREG | 0o755, Data: []byte(data)}
}

// HardLinks are one file with several names; the last has the content.
func HardLinks(ino uint32, data string, names ...string) []File {
	var list []File
	for _, name := range names {
		f := Regular(name, "")
		f.Ino, f.NLink = ino, uint32(len(names)) //nolint:gosec // small
		list = append(list, f)
	}
	list[len(list)-1].Data = []byte(data)
	return list
}

// Packed is data in a compression, as an image has it.
func Packed(t testing.TB, c compress.Compression, data []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := compress.Write(t.Context(), &out, c, data, func(int) {}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
