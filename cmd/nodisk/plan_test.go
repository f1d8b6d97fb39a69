package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/testenv"
)

func planFile(t *testing.T, name, text string) string {
	t.Helper()
	at := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return at
}

// An image for two types of node, and what nodisk plan says of them and of a
// third.
func TestPlanCommand(t *testing.T) {
	kernel := kernelDir(t)
	image := filepath.Join(t.TempDir(), "node.img")
	intel, broadcom := planFile(t, "intel.txt", "01:00.0 0200: 8086:1521\n"), planFile(t, "broadcom.txt",
		"01:00.0 0200: 14e4:1657\n")
	realtek := planFile(t, "realtek.txt", "01:00.0 0200: 10ec:8168\n")
	rubbish := planFile(t, "rubbish.txt", "01:00.0 0200: 10ec:8168\nlspci: not found\nfoo\n")
	status, _, stderr := nodisk("build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules", kernel, "--profile",
		"eth,nfs",
		"--init", imageInit(t), "--inventory", intel, "--inventory", broadcom, "--compress", "none", "--out", image)
	if status != 0 {
		t.Fatalf("build: status %d: %s", status, stderr)
	}
	const line = "ip=dhcp root=/dev/nfs nfsroot=10.0.0.1:/srv/root"
	for name, tt := range map[string]struct {
		args   []string
		status int
		want   string
	}{
		"intel": {[]string{"--image", image, "--inventory", intel, "--kernel", filepath.Join(kernel, "vmlinuz"),
			"--cmdline", line}, 0, "would boot\n"},
		"broadcom": {[]string{"--image", image, "--inventory", broadcom, "--cmdline", line}, 0, "would boot\n"},
		"strict": {[]string{"--image", image, "--inventory", intel, "--cmdline", line + " nodisk.dedline=3m",
			"--strict"}, exitFailed, "would not boot without doubt: 1 warning (--strict)"},
		"third": {[]string{"--image", image, "--inventory", realtek, "--modules", kernel, "--cmdline", line},
			exitFailed, "the kernel has r8169: build it with the inventory of this node too, or add --module r8169"},
		"nothing":   {nil, exitUsage, "give the node's --image"},
		"line":      {[]string{"--cmdline", line}, 0, "no image was given"},
		"bad line":  {[]string{"--cmdline", "root=iscsi:"}, exitFailed, "would not boot: command line: "},
		"rubbish":   {[]string{"--image", image, "--inventory", rubbish}, exitUsage, "rubbish.txt line 3: \"foo\""},
		"no image":  {[]string{"--image", "nowhere"}, exitUsage, "nowhere"},
		"bad image": {[]string{"--image", rubbish}, exitUsage, "rubbish.txt: read image"},
		"no kernel": {[]string{"--kernel", rubbish}, exitUsage, "not a kernel"},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := nodisk(append([]string{"plan"}, tt.args...)...)
			if status != tt.status || !strings.Contains(stdout+stderr, tt.want) {
				t.Errorf("status %d, want %d and %q in:\n%s%s", status, tt.status, tt.want, stdout, stderr)
			}
		})
	}
	for _, driver := range []string{"igb.ko", "tg3.ko"} {
		if _, stdout, _ := nodisk("inspect", image); !strings.Contains(stdout, "/"+driver) ||
			strings.Contains(stdout, "r8169.ko") {
			t.Errorf("the image of two inventories should have igb and tg3, not r8169:\n%s", stdout)
		}
	}
	status, _, stderr = nodisk("build", "--modules", kernel, "--inventory", rubbish, "--out", image)
	if none, _, text := nodisk("build", "--modules", "none", "--inventory", intel, "--out", image); none != exitUsage ||
		!strings.Contains(text, "leave one of them out") {
		t.Errorf("without a module tree: status %d: %s", none, text)
	}
	if status != exitFailed || !strings.Contains(stderr, "rubbish.txt line 2") || !strings.Contains(stderr, "line 3") {
		t.Errorf("build of rubbish: status %d: %s", status, stderr)
	}
}

// A file's name is not an argument of the command line.
func TestPlanWords(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	for _, name := range []string{"v.img", "initrd", "root=dhcp"} {
		if err := os.WriteFile(name, []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir("rw", 0o700); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		args []string
		want string // empty: it is planned
	}{
		"image":        {[]string{"v.img", "root=dhcp"}, "plan: v.img is a file: give it by --image"},
		"plain name":   {[]string{"initrd"}, "plan: initrd is a file: give it by --image"},
		"directory":    {[]string{"./rw"}, "plan: ./rw is a directory: give it by --modules"},
		"word":         {[]string{"root=dhcp", "rw", "quiet"}, ""},
		"told as word": {[]string{"--cmdline", "initrd root=dhcp"}, ""},
	} {
		status, stdout, stderr := nodisk(append([]string{"plan"}, tt.args...)...)
		if tt.want == "" && (status != 0 || strings.Contains(stderr, "give it by")) ||
			tt.want != "" && (status != exitUsage || !strings.Contains(stderr, tt.want)) {
			t.Errorf("%s: status %d: %s%s", name, status, stdout, stderr)
		}
	}
}

// The inventory of this machine can be read again.
func TestInventoryCommand(t *testing.T) {
	_, err := os.Stat("/sys/bus/platform/devices")
	testenv.Needs(t, err == nil, "sysfs")
	status, stdout, stderr := nodisk("inventory")
	if status != 0 || !strings.HasPrefix(stdout, "# nodisk inventory\n# Linux ") {
		t.Fatalf("status %d: %s%s", status, stdout, stderr)
	}
	v, err := readInventory(t.Context(), planFile(t, "this.txt", stdout))
	if err != nil {
		t.Fatal(err)
	}
	all, err := inventories(t.Context(), nil, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 || len(all[0].Devices) != len(v.Devices) {
		t.Errorf("%d devices, %v when taken again", len(v.Devices), all)
	}
}

// A directory is none: which of its files is meant, nobody knows. The command is named once.
func TestInventoryDirectory(t *testing.T) {
	dir := t.TempDir()
	want := "read inventory: " + dir + " is a directory: name a file in it, as --inventory " + filepath.Join(dir,
		"NODE.txt") + "\n"
	for command, args := range map[string][]string{
		"plan": {"plan", "--inventory", dir, "ip=dhcp"},
		"build": {"build", "--inventory", dir, "--kernel", planFile(t, "vmlinuz", "x"), "-o",
			filepath.Join(t.TempDir(), "node.img")},
	} {
		if status, _, stderr := nodisk(args...); status == 0 || stderr != "nodisk: "+command+": "+want {
			t.Errorf("%s: status %d: %s", command, status, stderr)
		}
	}
}

// The plan for other programs, and the short form of it.
func TestPlanForms(t *testing.T) {
	status, stdout, stderr := nodisk("plan", "--json", "root=nfs:192.0.2.1:/r", "ip=dhcp", "rd.nosuch=1")
	var j planJSON
	if err := json.Unmarshal([]byte(stdout), &j); status != 0 || err != nil {
		t.Fatalf("status %d: %v\n%s%s", status, err, stdout, stderr)
	}
	if !j.Boots || !strings.Contains(j.Plan, "192.0.2.1") || len(j.Warnings) != 1 || !strings.Contains(j.Warnings[0],
		"rd.nosuch") {
		t.Errorf("got %+v", j)
	}
	if status, stdout, _ = nodisk("plan", "--json", "--strict", "root=nfs:192.0.2.1:/r",
		"rd.nosuch=1"); status != exitFailed || !strings.Contains(stdout, `"boots": false`) {
		t.Errorf("status %d: %s", status, stdout)
	}
	status, stdout, _ = nodisk("plan", "-q", "--cmdline", "root=nfs:192.0.2.1:/r", "ip=dhcp")
	if want := "would boot, as far as can be told: no image was given\n"; status != 0 || stdout != want {
		t.Errorf("status %d: %q, want %q", status, stdout, want)
	}
}
