package buildtest

import (
	"bytes"
	"debug/pe"
	"encoding/binary"
	"flag"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/internal/testenv"
)

// BzImage makes the header of a 64-bit bzImage.
func BzImage(release string) []byte {
	data := make([]byte, 4096)
	data[0x1f1] = 7
	copy(data[0x202:], "HdrS")
	binary.LittleEndian.PutUint16(data[0x206:], 0x20f)
	binary.LittleEndian.PutUint16(data[0x20e:], 0x400)
	binary.LittleEndian.PutUint16(data[0x236:], 1)
	copy(data[0x600:], release+" (builder@host) #1 SMP\x00")
	return data
}

// UnifiedKernel makes a unified kernel image: a PE file for EFI of the sections that are given, without anything else.
func UnifiedKernel(t testing.TB, sections map[string][]byte) []byte {
	t.Helper()
	const peAt, headerEnd = 0x80, 0x400
	le := binary.LittleEndian
	data := make([]byte, headerEnd)
	copy(data, "MZ")
	le.PutUint32(data[0x3c:], peAt)
	copy(data[peAt:], "PE\x00\x00")
	le.PutUint16(data[peAt+4:], pe.IMAGE_FILE_MACHINE_AMD64)
	le.PutUint16(data[peAt+6:], uint16(len(sections)))
	le.PutUint16(data[peAt+20:], 0) // no optional header: nothing here reads one
	at := peAt + 24
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		body := sections[name]
		copy(data[at:at+8], name)
		le.PutUint32(data[at+8:], uint32(len(body)))
		le.PutUint32(data[at+16:], uint32((len(body)+511)&^511))
		le.PutUint32(data[at+20:], uint32(len(data)))
		at += 40
		data = append(data, body...)
		data = append(data, make([]byte, -len(data)&511)...)
	}
	return data
}

// PackedBy packs by a reference program, as the kernel's Makefile does.
func PackedBy(t testing.TB, data []byte, name string, args ...string) []byte {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if test, ok := t.(*testing.T); ok {
			testenv.Needs(test, false, "program "+name)
		}
		t.Skip("missing: program " + name)
	}
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(data)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return out
}

// Branchy is text full of what looks like branches, near and far.
func Branchy(n int) []byte {
	random := rand.New(rand.NewPCG(1, 2))
	data := make([]byte, 0, n)
	for len(data) < n {
		switch random.IntN(4) {
		case 0:
			data = append(data, 0xe8+byte(random.IntN(2)), byte(random.IntN(256)), byte(random.IntN(4)), 0,
				byte(-random.IntN(2)))
		case 1:
			data = append(data, bytes.Repeat([]byte{0xe8}, random.IntN(7))...)
		case 2:
			data = append(data, 0, 0xff, 0xe9, 0)
		default: // BL and ADRP of arm64
			data = binary.LittleEndian.AppendUint32(data[:len(data)&^3], 0x94000000|random.Uint32()&0x3ffffff)
			data = binary.LittleEndian.AppendUint32(data, 0x90000000|random.Uint32()&0x600fffff)
		}
	}
	return data[:n]
}

// Names lists a directory.
func Names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// Symlink makes a symbolic link.
func Symlink(t *testing.T, target, at string) {
	t.Helper()
	if err := os.Symlink(target, at); err != nil {
		t.Fatal(err)
	}
}

// Mkdir makes a directory and those above it.
func Mkdir(t *testing.T, at string) {
	t.Helper()
	if err := os.MkdirAll(at, 0o755); err != nil {
		t.Fatal(err)
	}
}

// ReadText is the content of a file.
func ReadText(t *testing.T, at string) string {
	t.Helper()
	data, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

var update = flag.Bool("update", false, "write golden files")

// Tool returns the path of a reference program.
func Tool(t *testing.T, name string) string {
	t.Helper()
	at, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if err == nil {
			break
		}
		at, err = exec.LookPath(filepath.Join(dir, name))
	}
	testenv.Needs(t, err == nil, "program "+name)
	return at
}

// KernelDir is a directory with vmlinuz and lib/modules/RELEASE.
func KernelDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NODISK_KERNEL_DIR")
	if dir == "" {
		root, err := os.Getwd()
		for err == nil && root != filepath.Dir(root) {
			if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
				break
			}
			root = filepath.Dir(root)
		}
		dir = filepath.Join(root, ".cache", "kernel")
	}
	_, err := os.Stat(filepath.Join(dir, "vmlinuz"))
	testenv.Needs(t, err == nil, "a kernel in NODISK_KERNEL_DIR or .cache/kernel (scripts/fetch-kernel makes it)")
	return dir
}

// Golden compares text with a file of testdata.
func Golden(t *testing.T, name, got string) {
	t.Helper()
	at := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(at, []byte(got), 0o644); err != nil { //nolint:gosec // no secret
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", at, diff)
	}
}

// Write makes a file and the directories above it.
func Write(t *testing.T, at string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, data, 0o644); err != nil { //nolint:gosec // no secret
		t.Fatal(err)
	}
}

// MachineAMD64 is the ELF machine of amd64.
const MachineAMD64 = 62

// ELFStub is the least that passes for a program or a module.
func ELFStub(machine uint16, tail string) []byte {
	head := make([]byte, 64)
	copy(head, "\x7fELF\x02\x01\x01")
	le := binary.LittleEndian
	le.PutUint16(head[16:], 2) // ET_EXEC
	le.PutUint16(head[18:], machine)
	le.PutUint32(head[20:], 1)
	le.PutUint16(head[52:], 64)
	le.PutUint16(head[54:], 56)
	le.PutUint16(head[58:], 64)
	return append(head, tail...)
}

// ModuleStub is a module of the kernel of that release, with nothing to do.
func ModuleStub(name, release string) []byte {
	return kotest.Module{
		Name: ko.ModuleName(name), Vermagic: release + " SMP ", Pad: 4000,
		Info: []ko.Field{{Key: "license", Value: "GPL"}, {Key: "description", Value: strings.Repeat(name+" ", 50)}},
	}.Bytes()
}

// Release is that of the modules of [Tree].
const Release = "6.9.1-test"

// Tree makes a root with the modules of the virt, iscsi and ext4
// profiles, some of them compressed, and returns it.
func Tree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "lib", "modules", Release)
	dep := map[string]string{
		"drivers/virtio/virtio_pci": "drivers/virtio/virtio", "drivers/virtio/virtio": "",
		"drivers/net/virtio_net": "drivers/virtio/virtio", "drivers/scsi/sd_mod": "drivers/scsi/scsi_mod",
		"drivers/scsi/scsi_mod": "", "drivers/scsi/iscsi_tcp": "drivers/scsi/scsi_mod",
		"fs/ext4/ext4": "fs/jbd2/jbd2", "fs/jbd2/jbd2": "", "crypto/crc32c-generic": "", "drivers/net/dummy": "",
	}
	var lines []string
	for name, needs := range dep {
		line := "kernel/" + name + ".ko.gz:"
		if needs != "" {
			line += " kernel/" + needs + ".ko.gz"
		}
		lines = append(lines, line)
		plain := filepath.Join(dir, "kernel", name+".ko")
		Write(t, plain, ModuleStub(name, Release))
		if out, err := exec.CommandContext(t.Context(), Tool(t, "gzip"), plain).CombinedOutput(); err != nil {
			t.Fatalf("gzip: %v: %s", err, out)
		}
	}
	for name, text := range map[string]string{
		"modules.alias": "# c\nalias crypto-crc32c crc32c_generic\nalias pci:v1af4* virtio_pci\n" +
			"alias rtnl-link-dummy dummy\n",
		"modules.softdep":         "softdep ext4 pre: crypto-crc32c\nsoftdep dummy pre: ext4\n",
		"modules.order":           "kernel/fs/ext4/ext4.ko\nkernel/drivers/net/dummy.ko\n",
		"modules.builtin":         "kernel/drivers/base/loop.ko\n",
		"modules.builtin.modinfo": "loop.alias=block-major-7-*\x00loop.license=GPL\x00",
	} {
		Write(t, filepath.Join(dir, name), []byte(text))
	}
	// After all that depmod reads.
	Write(t, filepath.Join(dir, "modules.dep"), []byte(strings.Join(namelist.Sorted(lines), "\n")+"\n"))
	return root
}
