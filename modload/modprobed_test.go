package modload

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
)

func TestParseConf(t *testing.T) {
	got := ParseConf([]ConfFile{
		{"/etc/modprobe.d/zz.conf", "softdep btrfs pre: dummy\noptions e1000 debug=2\n"},
		{"/etc/modprobe.d/aa.conf", strings.Join([]string{
			"# a comment \\", "options hidden=1", "\toptions  mlx4-core  debug_level=1 \\",
			"  port_type_array=1,2 name=\"a b\"",
			"blacklist pcspkr # and more", "alias net-pf-10 off", "alias my-* e1000", "install cramfs /bin/true",
			"install usb-storage /sbin/modprobe -i usb-storage",
			"remove ib_qib :", "include other", "blacklist", "options e1000", "weakdep a b",
			"softdep e1000 pre: a b post: c d pre: e", "options e1000 debug=1",
		}, "\n")},
		{"/lib/modprobe.d/aa.conf", "blacklist hidden\n"},
	})
	want := Conf{
		Lines: []ConfLine{
			{Words: []string{"alias", "net-pf-10", "off"}, Path: "/etc/modprobe.d/aa.conf"},
			{Words: []string{"alias", "my-*", "e1000"}, Path: "/etc/modprobe.d/aa.conf"},
			{Words: strings.Fields("softdep e1000 pre: a b post: c d pre: e"), Path: "/etc/modprobe.d/aa.conf"},
			{Words: strings.Fields("softdep btrfs pre: dummy"), Path: "/etc/modprobe.d/zz.conf", Late: true},
		},
		Params: Params{
			{"mlx4_core", cmdline.Arg{Key: "debug_level", Value: "1", HasValue: true}},
			{"mlx4_core", cmdline.Arg{Key: "port_type_array", Value: "1,2", HasValue: true}},
			{"mlx4_core", cmdline.Arg{Key: "name", Value: "a b", HasValue: true}},
			{"e1000", cmdline.Arg{Key: "debug", Value: "1", HasValue: true}},
			{"e1000", cmdline.Arg{Key: "debug", Value: "2", HasValue: true}},
		},
		Blacklist: Blacklist{
			{Module: "pcspkr", Key: "/etc/modprobe.d/aa.conf:5"},
			{Module: "cramfs", Key: "/etc/modprobe.d/aa.conf:8", Never: true},
		},
		Warnings: []string{
			"/etc/modprobe.d/aa.conf:9: install usb_storage: nodisk does not run the command, it loads the " +
				"module itself",
			"/etc/modprobe.d/aa.conf:10: remove ib_qib: no effect, nodisk removes no modules",
			"/etc/modprobe.d/aa.conf:11: include other: not a line of modprobe.d(5), ignored",
			"/etc/modprobe.d/aa.conf:12: blacklist : not a line of modprobe.d(5), ignored",
			"/etc/modprobe.d/aa.conf:13: options e1000: not a line of modprobe.d(5), ignored",
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := got.Params.For("mlx4_core"); got != `debug_level=1 port_type_array=1,2 name="a b"` {
		t.Errorf("parameters of mlx4_core: %s", got)
	}
}

// A file hides those of its name in later directories, also when it says nothing.
func TestReadConf(t *testing.T) {
	c := ReadConf(fstest.MapFS{
		"etc/modprobe.d/b.conf":     {Data: []byte("blacklist one\n")},
		"etc/modprobe.d/a.conf":     {},
		"etc/modprobe.d/README":     {Data: []byte("rubbish\n")},
		"etc/modprobe.d/.x.conf":    {Data: []byte("rubbish\n")},
		"etc/modprobe.d/d.conf/e":   {Data: []byte("rubbish\n")},
		"run/modprobe.d/b.conf":     {Data: []byte("blacklist hidden\n")},
		"lib/modprobe.d/a.conf":     {Data: []byte("blacklist hidden\n")},
		"lib/modprobe.d/0.alias":    {Data: []byte("blacklist two\n")},
		"usr/lib/modprobe.d/c.conf": {Data: []byte("blacklist three\n")},
	})
	want := Blacklist{{Module: "two", Key: "/lib/modprobe.d/0.alias:1"}, {Module: "one",
		Key: "/etc/modprobe.d/b.conf:1"}, {Module: "three", Key: "/usr/lib/modprobe.d/c.conf:1"}}
	if diff := cmp.Diff(want, c.Blacklist); diff != "" || c.Warnings != nil {
		t.Errorf("(-want +got):\n%s; %v", diff, c.Warnings)
	}
	if c := ReadConf(fstest.MapFS{}); !cmp.Equal(c, Conf{}) {
		t.Errorf("nothing says %+v", c)
	}
}

func conf(text string) Conf { return ParseConf([]ConfFile{{"/etc/modprobe.d/a.conf", text}}) }

func TestIndexWithConf(t *testing.T) {
	x, err := Open(fstest.MapFS{
		"lib/modules/1/modules.dep": {Data: []byte("a.ko: b.ko\nb.ko:\nc.ko:\nmlx4_core.ko:\nmlx4_en.ko:\n" +
			"mlx4_ib.ko:\n")},
		"lib/modules/1/modules.alias":   {Data: []byte("alias pci:v1* a\nalias net-pf-10 b\n")},
		"lib/modules/1/modules.softdep": {Data: []byte("softdep a post: c\nsoftdep mlx4_core post: mlx4_en mlx4_ib\n")},
		"lib/modules/1/modules.builtin": {Data: []byte("kernel/in.ko\n")},
	}, "1")
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ name, conf, ask, want string }{
		{"nothing", "", "a", "b a c"},
		{"alias before a module", "alias a c", "a", "c"},
		{"alias to the module itself", "alias a a", "a", "b a c"},
		{"no chain of aliases", "alias x y\nalias y c", "x", `error find module "x"`},
		{"off", "alias net-pf-10 off", "net-pf-10", ""},
		{"off and on", "alias net-pf-10 off\nalias net-* c", "net-pf-10", "c"},
		{"built in", "alias x in", "x", ""},
		{"softdep replaced", "softdep a pre: c", "a", "b c a"},
		{"softdep emptied", "softdep a pre:", "a", "b a"},
		{"first softdep counts", "softdep a pre:\nsoftdep a pre: c", "a", "b a"},
		{"softdep by pattern", "softdep [bc] pre: mlx4_en", "a", "mlx4_en b a c"},
		{"companions stay", "softdep mlx4_core post: mlx4_en", "mlx4_core", "mlx4_core mlx4_en mlx4_ib"},
		{"companions get more", "softdep mlx4-core pre: c", "mlx4_core", "c mlx4_core mlx4_en mlx4_ib"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mods, err := x.With(conf(tt.conf)).Resolve(tt.ask)
			var names []string
			for _, m := range mods {
				names = append(names, m.Name)
			}
			got := strings.Join(names, " ")
			if err != nil {
				got = "error " + err.Error()
			}
			if got != tt.want && (!strings.HasPrefix(tt.want, "error ") || !strings.HasPrefix(got, tt.want)) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	late := ParseConf([]ConfFile{{"/etc/modprobe.d/zz.conf", "softdep a pre:\nsoftdep b pre: c"}})
	if mods, _ := x.With(late).Resolve("a"); len(mods) != 3 || mods[0].Name != "c" || mods[2].Name != "a" {
		t.Errorf("after modules.softdep: %v", mods)
	}
	if got := x.With(conf("alias pci:v1d2* off")).Match("pci:v1d2x"); got != nil {
		t.Errorf("a device that is off leads to %v", got)
	}
	if got := x.With(conf("alias pci:v1d2* off")).Match("pci:v1d3"); !slices.Equal(got, []string{"a"}) {
		t.Errorf("another device leads to %v", got)
	}
}

// The configuration cannot make the resolver fail or forget a dependency.
func FuzzConf(f *testing.F) {
	for _, s := range []string{
		"alias a* b\nsoftdep a pre: c post: a\nsoftdep c pre: a\noptions a x=1 \\\n y=\"2 3\"\nblacklist b\ninstall " +
			"a /bin/false\n",
		"alias [a-", "\\", "options \\\\\n a", "softdep * pre: pre: a post: c post:",
		"alias a off\nremove\nremove x y z\n", "options -- x y -- z", "weakdep a b\r\n\r\n",
	} {
		f.Add(s)
	}
	x, err := Open(fstest.MapFS{
		"lib/modules/1/modules.dep":     {Data: []byte("a.ko: b.ko\nb.ko:\nc.ko: b.ko\nmlx4_core.ko:\n")},
		"lib/modules/1/modules.alias":   {Data: []byte("alias pci:v1* a\n")},
		"lib/modules/1/modules.softdep": {Data: []byte("softdep a post: c\n")},
	}, "1")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := conf(text)
		if n := strings.Count(text, "\n") + 1; len(c.Lines)+len(c.Blacklist)+len(c.Warnings) > n {
			t.Errorf("%d lines say more than %d things", n, len(c.Lines)+len(c.Blacklist)+len(c.Warnings))
		}
		for _, l := range c.Lines {
			if len(l.Words) < 3 {
				t.Errorf("a line of %q", l.Words)
			}
		}
		for _, p := range c.Params {
			if p.Module == "" || strings.Contains(p.Module, "-") {
				t.Errorf("a parameter of module %q", p.Module)
			}
		}
		y := x.With(c)
		mods, _ := y.Resolve("a", "c", "mlx4_core", "pci:v1d1")
		seen := make(map[string]bool)
		for _, m := range mods {
			if seen[m.Name] {
				t.Errorf("%s twice", m.Name)
			}
			for _, d := range m.Deps {
				if !seen[d] {
					t.Errorf("%s comes before %s, which it needs", m.Name, d)
				}
			}
			seen[m.Name] = true
		}
	})
}
