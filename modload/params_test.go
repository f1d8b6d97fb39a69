package modload

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestParseParams(t *testing.T) {
	params, black := ParseParams(
		cmdline.Parse(`root=/dev/sda mlx4-core.port_type_array=1,2 quiet dyn.opt="a b" dyn.flag dyn.opt=c .x=1 y.=2 ` +
			`modprobe.blacklist=nouveau,crc32c-intel module_blacklist=e1000 rd.driver.blacklist=i40e,,ice modprobe.blacklist`))
	for module, want := range map[string]string{
		"mlx4_core": "port_type_array=1,2",
		"mlx4-core": "port_type_array=1,2",
		"dyn":       `opt="a b" flag opt=c`,
		"e1000":     "",
	} {
		if got := params.For(module); got != want {
			t.Errorf("parameters of %s: %q, want %q", module, got, want)
		}
	}
	want := Blacklist{
		{Module: "nouveau", Key: "modprobe.blacklist"},
		{Module: "crc32c_intel", Key: "modprobe.blacklist"},
		{Module: "e1000", Key: "module_blacklist", Never: true},
		{Module: "i40e", Key: "rd.driver.blacklist", Never: true},
		{Module: "ice", Key: "rd.driver.blacklist", Never: true},
	}
	if diff := cmp.Diff(want, black); diff != "" {
		t.Errorf("blacklist (-want +got):\n%s", diff)
	}
	for _, tt := range []struct {
		module  string
		byAlias bool
		want    bool
	}{
		{"nouveau", true, true},
		{"nouveau", false, false},
		{"e1000", false, true},
		{"crc32c-intel", true, true},
		{"virtio", true, false},
	} {
		if _, got := black.Find(tt.module, tt.byAlias); got != tt.want {
			t.Errorf("Find(%q, %v) = %v", tt.module, tt.byAlias, got)
		}
	}
}

// What is rendered for a module splits into the same arguments again.
func FuzzParseParams(f *testing.F) {
	for _, s := range []string{"a.b=c", `a.b="c d" a-x.e`, "modprobe.blacklist=a,b", ".=", "a.b.c=d", `a."b c"=d`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, line string) {
		params, black := ParseParams(cmdline.Parse(line))
		for _, e := range black {
			if e.Module == "" || strings.ContainsAny(e.Module, ",-") {
				t.Errorf("blacklisted module %q from %q", e.Module, line)
			}
		}
		if strings.Contains(line, `"`) {
			return // the kernel has no way to escape one
		}
		for _, p := range params {
			var want cmdline.Args
			for _, q := range params {
				if q.Module == p.Module {
					want = append(want, q.Arg)
				}
			}
			if diff := cmp.Diff(want, cmdline.Parse(params.For(p.Module))); diff != "" && !strings.Contains(line,
				"--") {
				t.Errorf("%q: parameters of %q (-want +got):\n%s", line, p.Module, diff)
			}
		}
	})
}
