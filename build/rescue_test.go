package build

import (
	"bytes"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/program"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/testenv"
)

// rescueNames are the files of a rescue shell, with the targets of links.
func rescueNames(t *testing.T, program []byte) []string {
	t.Helper()
	files, err := rescueFiles(program, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		name := f.Name
		switch {
		case f.Mode&initramfs.TypeMask == initramfs.TypeLink:
			name += " -> " + string(f.Data)
		case !bytes.Equal(f.Data, program):
			name += " " + strings.TrimSpace(string(f.Data))
		}
		if f.Part != initramfs.PartRescue {
			t.Errorf("%s is of the part %v", name, f.Part)
		}
		names = append(names, name)
	}
	return names
}

func TestRescueFiles(t *testing.T) {
	text := func(words ...string) []byte {
		return buildtest.ELFStub(buildtest.MachineAMD64, strings.Join(words, "\x00"))
	}
	for name, tt := range map[string]struct {
		program []byte
		want    []string
	}{
		"any shell": {text("dash"), []string{
			"bin/halt -> /init", "bin/modprobe -> /init", "bin/poweroff -> /init",
			"bin/reboot -> /init", "bin/sh",
		}},
		"busybox": {
			text("BusyBox v1.35.0", "", "ash", "cat", "init", "linuxrc", "sh", "vi", ""),
			[]string{
				"bin/ash -> busybox", "bin/busybox", "bin/cat -> busybox", "bin/halt -> /init", "bin/modprobe -> /init",
				"bin/poweroff -> /init", "bin/reboot -> /init", "bin/sh -> busybox", "bin/vi -> busybox",
			},
		},
		"u-root": {
			text(program.RescueMark, program.URootCommands+"gosh.registeredMain", program.URootCommands+"ls.registeredMain",
				program.URootCommands+"init.registeredMain"),
			[]string{
				"bin/bb", "bin/gosh -> bb", "bin/halt -> /init", "bin/ls -> bb", "bin/lspci #!/bin/sh\npci \"$@\"",
				"bin/modprobe -> /init", "bin/nc #!/bin/sh\nnetcat \"$@\"", "bin/poweroff -> /init",
				"bin/reboot -> /init", "bin/sh -> gosh", "bin/sha256sum #!/bin/sh\nshasum -a 256 \"$@\"",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, rescueNames(t, tt.program)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	for name, tt := range map[string]struct {
		program []byte
		arch    string
		want    string
	}{
		"rubbish": {[]byte("#!/bin/sh\n"), "amd64", "check the rescue shell: not an ELF program"},
		"other architecture": {buildtest.ELFStub(buildtest.MachineAMD64, ""), "arm64", "check the rescue shell: it is a program for " +
			"amd64 (EM_X86_64), but the kernel is for arm64"},
		"no sh": {text("BusyBox v1.35.0", "", "cat", ""), "", "has no applet sh"},
	} {
		if _, err := rescueFiles(tt.program, tt.arch); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
}

// Of a real busybox: what administrators type first.
func TestRescueBusybox(t *testing.T) {
	program, err := os.ReadFile("/bin/busybox")
	testenv.Needs(t, err == nil, "/bin/busybox of the package busybox-static")
	names := rescueNames(t, program)
	for want := range strings.FieldsSeq("sh ls cat mount ip ping dmesg ps vi") {
		if !slices.Contains(names, "bin/"+want+" -> busybox") {
			t.Errorf("no %s in %v", want, names)
		}
	}
}

// No init of a root's may be taken for one that is not (root=ramfs starts the first of
// /sbin/init, /etc/init, /bin/init), and names are not there twice.
func TestRescueNames(t *testing.T) {
	for _, list := range [][]string{program.RescueCommands(), busyboxApplets()} {
		sorted := slices.Clone(list)
		slices.Sort(sorted)
		if n := len(slices.Compact(sorted)); n != len(list) {
			t.Errorf("%d names, %d different ones", len(list), n)
		}
		for name := range rescueAliases() {
			if slices.Contains(program.RescueCommands(), name) {
				t.Errorf("%s is both a command and a script", name)
			}
		}
		for _, not := range []string{"init", "sh", "busybox", "bb", "modprobe"} {
			if slices.Contains(list, not) && (not != "sh" || !slices.Contains(list, "ash")) {
				t.Errorf("%s is in %v", not, list)
			}
		}
	}
}

func TestShellMissed(t *testing.T) {
	shell := []initramfs.Entry{{Name: rescueShell}}
	for config, want := range map[string][]string{
		"":                            nil,
		"rd.shell=0":                  nil,
		"nodisk.onfail=reboot":        nil,
		"nodisk.onfail=shell":         {"nodisk.onfail=shell"},
		"rd.shell rd.break=moun":      {"rd.break", "rd.shell"},
		"rd.shell nodisk.onfail=halt": nil,
	} {
		args := cmdline.Parse(config)
		for i, w := range want {
			want[i] = w + " in the config asks for a shell, but the image has no /bin/sh: add --rescue"
		}
		if diff := cmp.Diff(want, shellMissed(args, nil)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", config, diff)
		}
		if got := shellMissed(args, shell); got != nil {
			t.Errorf("%q with a shell: %q", config, got)
		}
	}
}
