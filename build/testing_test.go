package build

import (
	"context"
	"encoding/binary"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/internal/testenv"
)

var update = flag.Bool("update", false, "write golden files")

// tool returns the path of a reference program.
func tool(t *testing.T, name string) string {
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

// kernelDir is a directory with vmlinuz and lib/modules/RELEASE.
func kernelDir(t *testing.T) string {
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

// golden compares text with a file of testdata.
func golden(t *testing.T, name, got string) {
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

// write makes a file and the directories above it.
func write(t *testing.T, at string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(at, data, 0o644); err != nil { //nolint:gosec // no secret
		t.Fatal(err)
	}
}

// ELF machine of amd64.
const machineAMD64 = 62

// elfStub is the least that passes for a program or a module.
func elfStub(machine uint16, tail string) []byte {
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

// moduleStub is a module of the kernel of that release, with nothing to do.
func moduleStub(name, release string) []byte {
	return kotest.Module{
		Name: moduleName(name), Vermagic: release + " SMP ", Pad: 4000,
		Info: []ko.Field{{Key: "license", Value: "GPL"}, {Key: "description", Value: strings.Repeat(name+" ", 50)}},
	}.Bytes()
}

const testRelease = "6.9.1-test"

// testTree makes a root with the modules of the virt, iscsi and ext4
// profiles, some of them compressed, and returns it.
func testTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, "lib", "modules", testRelease)
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
		write(t, plain, moduleStub(name, testRelease))
		if out, err := exec.CommandContext(t.Context(), tool(t, "gzip"), plain).CombinedOutput(); err != nil {
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
		write(t, filepath.Join(dir, name), []byte(text))
	}
	// After all that depmod reads.
	write(t, filepath.Join(dir, "modules.dep"), []byte(strings.Join(sortedUnique(lines), "\n")+"\n"))
	return root
}

// testSpec makes an image of testTree without a compiler.
func testSpec(t *testing.T, root string) Spec {
	t.Helper()
	return Spec{
		Modules: root, Profiles: []string{"virt", "iscsi", "ext4"}, Out: filepath.Join(t.TempDir(), "image"),
		Config: []byte("ip=dhcp\n"), Time: time.Unix(1_700_000_000, 0),
		Init: func(context.Context, string) ([]byte, error) { return elfStub(machineAMD64, "init"), nil },
	}
}
