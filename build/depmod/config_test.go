package depmod

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

func TestReadConfig(t *testing.T) {
	c, err := ReadConfig(fstest.MapFS{
		"etc/depmod.d/dist.conf": {Data: []byte("search a b\n")},
		"lib/depmod.d/dist.conf": {Data: []byte("search masked\n")},
		"usr/local/lib/depmod.d/more.conf": {Data: []byte("make_map_files no\nexclude x\noverride m * dir\nexternal " +
			"6.* /opt/m\nsearch \\\n c\n")},
		"run/depmod.d/no.txt":       {Data: []byte("search nothing\n")},
		"run/depmod.d/.hidden.conf": {Data: []byte("search nothing\n")},
	})
	if err != nil {
		t.Fatal(err)
	}
	want := Config{
		Search: []string{"a", "b", "c"}, Exclude: []string{"x"}, Overrides: []Override{{"m", "*", "dir"}},
		External: []External{{"6.*", "/opt/m"}},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseConfigErrors(t *testing.T) {
	var c Config
	err := c.ParseConfig(strings.NewReader("serch a\n\noverride m *\nexternal * opt\noverride m ( d\nsearch a\n"),
		"/etc/depmod.d/x.conf")
	if err == nil {
		t.Fatal("no error")
	}
	want := []string{
		`read /etc/depmod.d/x.conf: line 1: unknown word "serch": depmod.d(5) has search, override, external and exclude`,
		`read /etc/depmod.d/x.conf: line 3: "override" wants a module, a kernel version or *, and a directory`,
		`read /etc/depmod.d/x.conf: line 4: "external" wants a kernel version or *, and an absolute directory`,
		`read /etc/depmod.d/x.conf: line 5: kernel version "(" is not an extended regular expression: error parsing regexp: missing closing ): ` + "`(`",
	}
	if diff := cmp.Diff(want, strings.Split(err.Error(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"a"}, c.Search); diff != "" {
		t.Errorf("what is right has no effect (-want +got):\n%s", diff)
	}
}

func FuzzParseConfig(f *testing.F) {
	f.Add("search updates extra built-in weak-updates\n# c\noverride a 6.1.* extra\nexternal * /opt\nexclude x\n" +
		"make_map_files no\nsearch \\\n b\n")
	f.Add("override a ( b\n\x00search\\")
	f.Fuzz(func(t *testing.T, text string) {
		var c Config
		_ = c.ParseConfig(strings.NewReader(text), "x")
		for _, o := range c.Overrides {
			_ = suits(o.Kernel, "6.1.0")
			if o.Module == "" || o.Dir == "" {
				t.Errorf("an override without words: %+v", o)
			}
		}
		for _, e := range c.External {
			if !strings.HasPrefix(e.Dir, "/") {
				t.Errorf("an external directory that is not absolute: %+v", e)
			}
		}
	})
}

// Lines may be longer than 64 KiB, but not any length.
func TestParseConfigLongLine(t *testing.T) {
	var c Config
	if err := c.ParseConfig(strings.NewReader("search "+strings.Repeat("x", 1<<17)+"\n"), "f"); err != nil ||
		len(c.Search) != 1 {
		t.Errorf("%d, %v", len(c.Search), err)
	}
	err := c.ParseConfig(strings.NewReader("search a\n"+strings.Repeat("x", 1<<20)), "f")
	if err == nil || !strings.Contains(err.Error(), "read f: line 2 is longer than 1024 KiB") {
		t.Errorf("error %v", err)
	}
}
