package lab

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/internal/testenv"
)

func TestRefusal(t *testing.T) {
	for name, tt := range map[string]struct {
		sysctls map[string]string
		want    string
	}{
		"ubuntu": {map[string]string{
			"kernel.apparmor_restrict_unprivileged_userns": "1",
			"kernel.unprivileged_userns_clone":             "1",
		}, "kernel.apparmor_restrict_unprivileged_userns=0"},
		"debian": {map[string]string{"kernel.unprivileged_userns_clone": "0"}, "kernel.unprivileged_userns_clone=1"},
		"none":   {map[string]string{"user.max_user_namespaces": "0"}, "user.max_user_namespaces=10000"},
		"other":  {nil, "CAP_SYS_ADMIN"},
	} {
		got := refusal(func(name string) string { return tt.sysctls[name] })
		if !strings.Contains(got, tt.want) || !strings.Contains(got, "as root (sudo)") || strings.Contains(got, "\n") {
			t.Errorf("%s: %q, want %q in one line", name, got, tt.want)
		}
	}
}

// All that is missing is one command.
func TestInstall(t *testing.T) {
	err := install([]error{
		&tool.NotFound{Name: "tgtd", Package: "tgt"}, &tool.NotFound{Name: "tgtadm", Package: "tgt"}, errors.New("another"), &tool.NotFound{
			Name:    "mke2fs",
			Package: "e2fsprogs",
		},
	})
	const want = "another\nthis machine lacks tgtd, tgtadm, mke2fs: sudo apt-get install -y --no-install-recommends " +
		"tgt e2fsprogs (Debian's names)"
	if err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	if err := install(nil); err != nil {
		t.Error(err)
	}
}

func TestPrompt(t *testing.T) {
	for text, want := range map[string]bool{
		"debian login:": true, "node7 login:": true, "/ #": true, "#": true, "root@node:~#": true, "sh-5.2#": true,
		"[root@node /]#": true,
		"[  OK  ] Reached target multi-user.target - Multi-User System.": true,
		"[  OK  ] Reached target Graphical Interface.":                   true,
		"Please press Enter to activate this console.":                   true,
		"[  OK  ] Reached target basic.target - Basic System.":           false,
		"Last login: Fri": false, "random: crng init done": false, "": false,
		"         Starting systemd-logind.service - User Login Management...": false,
	} {
		if got := prompt().MatchString(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

func TestLine(t *testing.T) {
	for _, tt := range []struct {
		spec BootSpec
		want string
	}{
		{BootSpec{Root: RootISCSI}, "ip=dhcp root=iscsi:10.77.0.1::3260:1:iqn.2025-01.test.nodisk.lab:node-1 " +
			"rootfstype=ext4"},
		{
			BootSpec{Root: RootISCSI, Disk: "x", Append: "root=LABEL=a"},
			"ip=dhcp netroot=iscsi:10.77.0.1::3260:1:iqn.2025-01.test.nodisk.lab:node-1 rw root=LABEL=a",
		},
		{BootSpec{Root: RootVirtio, Disk: "x"}, "ip=off root=/dev/vda rw"},
		{BootSpec{Root: RootNFS4, Tree: "x", Init: "/bin/sh"}, "ip=dhcp root=nfs4:10.77.0.1:/srv/root:vers=4.1 " +
			"rw init=/bin/sh"},
		{BootSpec{Root: RootNFS4}, "ip=dhcp root=nfs4:10.77.0.1:/srv/root"},
		{
			BootSpec{Root: RootISCSI, Cmdline: "ip={client}::::n:eth0:none root=dhcp"},
			"ip=10.77.0.23::::n:eth0:none root=iscsi:10.77.0.1::3260:1:iqn.2025-01.test.nodisk.lab:node-1",
		},
	} {
		if got := tt.spec.Line(); got != tt.want {
			t.Errorf("%+v:\n%s, want\n%s", tt.spec, got, tt.want)
		}
	}
}

// The root on a disk that is not an iSCSI disk is named as /init would choose it.
func TestRootOn(t *testing.T) {
	for _, err := range tool.Missing(tool.Mke2fs(), tool.Busybox()) {
		testenv.Needs(t, false, err.Error())
	}
	tree, part := t.TempDir(), filepath.Join(t.TempDir(), "part")
	if err := errors.Join(RootTree(tree), RootDisk(t.Context(), tree, part)); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(part)
	if err != nil {
		t.Fatal(err)
	}
	const start = 1 << 20
	mbr := make([]byte, start)
	copy(mbr[440:], "\x78\x56\x34\x12") // the disk's number, little endian
	mbr[450] = 0x83
	binary.LittleEndian.PutUint32(mbr[454:], start/512)
	binary.LittleEndian.PutUint32(mbr[458:], uint32(len(data)/512))
	mbr[510], mbr[511] = 0x55, 0xaa
	disk := slices.Concat(mbr, data)
	if got, err := rootOn(bytes.NewReader(disk), int64(len(disk))); got != "PARTUUID=12345678-01" || err != nil {
		t.Errorf("with a partition: %q, %v", got, err)
	}
	if got, err := rootOn(bytes.NewReader(disk[start:]), int64(len(disk)-start)); got != "/dev/vda" || err != nil {
		t.Errorf("without a table: %q, %v", got, err)
	}
	second := bytes.Clone(disk)
	copy(second[462:478], second[446:462])
	if _, err := rootOn(bytes.NewReader(second), int64(len(second))); err == nil ||
		!strings.Contains(err.Error(), "several file systems (partition 1, ext4 nodisk-root; partition 2") {
		t.Errorf("two partitions: %v", err)
	}
	if _, err := rootOn(bytes.NewReader(make([]byte, 1<<20)), 1<<20); err == nil ||
		!strings.Contains(err.Error(), "name the root") {
		t.Errorf("an empty disk: %v", err)
	}
}

// A place without room is told before anything is copied.
func TestRoom(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "x")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := room(dir, 1); err != nil {
		t.Error(err)
	}
	if err := room(dir, 1<<60); err == nil || !strings.Contains(err.Error(), "it takes 1152921504606 MB") ||
		!strings.Contains(err.Error(), "set TMPDIR") {
		t.Errorf("%v", err)
	}
}
