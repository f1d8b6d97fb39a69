package rootinit

import (
	"runtime"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/testenv"
)

func elf(machine byte) string {
	return "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00" + string([]byte{machine, 0})
}

func TestFindInit(t *testing.T) {
	other := byte(elfAArch64)
	if runtime.GOARCH == "arm64" {
		other = elfX8664
	}
	for name, tt := range map[string]struct {
		files      map[string]string
		want       string
		init, fail string
	}{
		"usual":                     {files: map[string]string{"sbin/init": "#!/bin/sh\n"}, init: "/sbin/init"},
		"absolute link stays below": {files: map[string]string{"sbin/init": "->/lib/x", "lib/x": "#!/bin/sh\n"}, init: "/sbin/init"},
		"second candidate":          {files: map[string]string{"bin/init": "#!/bin/sh\n"}, init: "/bin/init"},
		"named":                     {files: map[string]string{"x": "#!/bin/sh\n", "sbin/init": "#!/bin/sh\n"}, want: "/x", init: "/x"},
		"named and missing":         {files: map[string]string{"sbin/init": "#!/bin/sh\n"}, want: "/x", fail: "init=/x: no such file or directory: this root has no such program"},
		"empty root":                {files: map[string]string{"lost+found/x": "!"}, fail: "the root has no init (/sbin/init: no such file or directory)"},
		"not executable":            {files: map[string]string{"sbin/init": "!text"}, fail: "/sbin/init: not executable"},
		"a folder":                  {files: map[string]string{"sbin/init/x": "x"}, fail: "/sbin/init: not a file"},
		"empty file":                {files: map[string]string{"sbin/init": ""}, fail: "/sbin/init: empty"},
		"no program": {
			files: map[string]string{"sbin/init": strings.Repeat("\x00", 4096)},
			fail:  `/sbin/init: neither a program nor a script: it begins with "\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"`,
		},
		"script without #!": {files: map[string]string{"sbin/init": "echo"}, fail: `neither a program nor a script: it begins with "echo"`},
		"cut off":           {files: map[string]string{"sbin/init": "\x7fELF\x02"}, fail: `neither a program nor a script: it begins with "\x7fELF\x02"`},
		"other machine":     {files: map[string]string{"sbin/init": elf(other)}, fail: "but this machine runs " + runtime.GOARCH},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := FindInit(testenv.Tree(t, tt.files), tt.want)
			switch {
			case tt.fail != "" && (err == nil || !strings.Contains(err.Error(), tt.fail)):
				t.Errorf("error %v, want %q", err, tt.fail)
			case tt.fail == "" && (err != nil || got != tt.init):
				t.Errorf("got %q, %v; want %q", got, err, tt.init)
			}
		})
	}
}

// Where the server is known to garble what it has, that is told; and only there.
func TestGarbled(t *testing.T) {
	_, none := FindInit(testenv.Tree(t, map[string]string{"sbin/init": strings.Repeat("\x00", 4096)}), "")
	_, missing := FindInit(testenv.Tree(t, nil), "")
	for _, tt := range []struct {
		mounted string
		err     error
		want    bool
	}{{"nfs 4.2", none, true}, {"nfs 4.1", none, false}, {"nfs 3", none, false}, {"ext4", none, false}, {"nfs 4.2", missing, false}} {
		got := Garbled(rootfs.Mounted{Type: tt.mounted}, tt.err)
		if strings.Contains(got, "mount with vers=4.1") != tt.want || (got == "") == tt.want {
			t.Errorf("%s, %v: %q", tt.mounted, tt.err, got)
		}
	}
}
