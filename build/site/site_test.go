package site

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// schema is a small one of every kind of flag.
func schema() Schema {
	return Schema{
		"out": {Path: true}, "kernel": {Path: true}, "modules": {Path: true, Words: []string{"none"}},
		"profile": {Repeatable: true}, "add": {Repeatable: true, Path: true}, "compress": {},
		"kver":  {Repeatable: true},
		"strip": {Switch: true}, "rescue": {Switch: true, Valued: true, Path: true},
		"quiet": {Switch: true, CommandLine: true},
	}
}

func TestRead(t *testing.T) {
	fsys := fstest.MapFS{
		"build.yaml": {Data: []byte("# of all\nprofile: eth\nout: /srv/{image}-{kver}.img\nkver: 6.10\nstrip: true\n")},
		"images.d/b.yaml": {Data: []byte("profile: [nfs, ext4]\nadd:\n- files:/etc/x\n- /abs:/y\n" +
			"modules: none\nrescue: true\nstrip: false\n")},
		"images.d/a.yaml":     {Data: []byte("out: a.img\ncompress: xz\n")},
		"images.d/c.yaml":     {Data: nil},
		"images.d/d.yaml~":    {Data: []byte("rubbish")},
		"images.d/sub/README": {Data: []byte("rubbish")},
	}
	s, err := Read(fsys, "/etc/nodisk", schema())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	got = append(got, s.Files...)
	for _, image := range s.Images {
		merged := schema().Merge(s.Defaults, image.Settings)
		got = append(got, image.Name+": "+strings.Join(merged.Args(), " "))
	}
	want := []string{
		"/etc/nodisk/build.yaml", "/etc/nodisk/images.d/a.yaml", "/etc/nodisk/images.d/b.yaml",
		"/etc/nodisk/images.d/c.yaml",
		"a: --compress=xz --kver=6.10 --out=/etc/nodisk/images.d/a.img --profile=eth --strip",
		"b: --add=/etc/nodisk/images.d/files:/etc/x --add=/abs:/y --kver=6.10 --modules=none " +
			"--out=/srv/{image}-{kver}.img " +
			"--profile=eth --profile=nfs --profile=ext4 --rescue",
		"c: --kver=6.10 --out=/srv/{image}-{kver}.img --profile=eth --strip",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What looks like a file of the site and is not read is said; what a setting names, and what
// editors and packages leave, is not.
func TestReadPassedOver(t *testing.T) {
	fsys := fstest.MapFS{
		"build.yml":                {},
		"images.d/a.yaml":          {Data: []byte("out: a.img\nadd: ['a.conf:/etc/a', sub.txt]\n")},
		"images.d/a.conf":          {},
		"images.d/gpu.yml":         {},
		"images.d/rack.conf":       {},
		"images.d/sub.txt":         {},
		"images.d/sub/b.yml":       {},
		"images.d/README":          {},
		"images.d/.hidden.yaml":    {Data: []byte("rubbish")},
		"images.d/b.yaml~":         {},
		"images.d/.#b.yaml":        {Data: []byte("rubbish")},
		"images.d/#b.yaml#":        {},
		"images.d/b.yaml.bak":      {},
		"images.d/b.yaml.rpmnew":   {},
		"images.d/b.yaml.dpkg-old": {}, "images.d/b.yaml.dpkg-dist": {}, "images.d/b.yaml.ucf-dist": {},
	}
	s, err := Read(fsys, "/etc/nodisk", schema())
	if err != nil || len(s.Images) != 1 {
		t.Fatalf("%v, %v", s.Images, err)
	}
	want := []string{
		"/etc/nodisk/build.yml: only build.yaml is read",
		"/etc/nodisk/images.d/gpu.yml: only *.yaml files are read",
		"/etc/nodisk/images.d/rack.conf: only *.yaml files are read",
	}
	if diff := cmp.Diff(want, s.Warnings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// bomb is a file whose merges multiply: ten of ten of ten.
func bomb() string {
	var text strings.Builder
	text.WriteString("profile: &l0 {out: x}\n")
	for i := range 6 {
		fmt.Fprintf(&text, "k%d: &l%d\n  <<: [%s*l%d]\n", i, i+1, strings.Repeat(fmt.Sprintf("*l%d, ", i), 9), i)
	}
	return text.String() + "<<: *l6\n"
}

// Every error has its file and line, and all are told at once.
func TestReadErrors(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"unknown": {"out: a\nprofil: eth\n", "/n/build.yaml:2: unknown key \"profil\", did you mean profile?"},
		"far":     {"zzzzzz: eth\n", "/n/build.yaml:1: unknown key \"zzzzzz\""},
		"twice": {"out: a\nprofile: eth\nout: b\n", "/n/build.yaml:3: out is set twice: line 1 has it too; " +
			"what takes several values has a list"},
		"tab":       {"\tout: a\n", "/n/build.yaml:1: a tab: YAML indents with spaces alone"},
		"tab below": {"out: a\nprofile:\n\t- x\n", "/n/build.yaml:3: a tab: YAML indents with spaces alone"},
		"list":      {"- out: a\n", "/n/build.yaml:1: these are not settings: write one \"flag: value\" a line"},
		"no list":   {"out: [a, b]\n", "/n/build.yaml:1: out takes one value, not a list"},
		"nothing":   {"out:\n", "/n/build.yaml:1: out has no value"},
		"switch":    {"strip: maybe\n", "/n/build.yaml:1: strip is true or false"},
		"yes": {"rescue: yes\n", "/n/build.yaml:1: rescue: \"yes\" is neither true nor false: write one of " +
			"them, or a text (./yes if it is a file)"},
		"off":         {"rescue: Off\n", "neither true nor false"},
		"map":         {"profile: {a: b}\n", "/n/build.yaml:1: profile: this is neither a text nor a list nor true"},
		"nested":      {"profile: [[a]]\n", "/n/build.yaml:1: profile: an element of a list is a text"},
		"line's":      {"quiet: true\n", "/n/build.yaml:1: \"quiet\" is for the command line, not for a file"},
		"documents":   {"out: a\n---\nout: b\n", "/n/build.yaml:2: a second document: there is one a file"},
		"multiplied":  {bomb(), "more than 1000 merges by <<"},
		"circle":      {"&a\n<<: *a\n", "<< leads round in a circle"},
		"no UTF-8":    {"out: a\nprofile: \xff\n", "/n/build.yaml:2: byte 0xff is not UTF-8: save the file in UTF-8"},
		"control":     {"out: a\nprofile: \x01\n", "/n/build.yaml:2: control character U+0001: remove it"},
		"no anchor":   {"out: a\nprofile: *eth\n", "/n/build.yaml:2: there is no anchor &eth before this"},
		"quotes":      {"out: a\nprofile: \"eth\n", "/n/build.yaml:2: the quotes that begin here are never closed"},
		"yes, switch": {"strip: yes\n", "/n/build.yaml:1: strip is true or false"},
		"two at once": {"profil: a\nkernl: b\n", "/n/build.yaml:1: unknown key \"profil\", did you mean profile?\n" +
			"/n/build.yaml:2: unknown key \"kernl\", did you mean kernel?"},
	} {
		_, err := Read(fstest.MapFS{"build.yaml": {Data: []byte(tt.text)}}, "/n", schema())
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %s", name, err, tt.want)
		}
	}
}

// What is not a file is not waited for.
func TestReadIrregular(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(syscall.Mkfifo(filepath.Join(dir, "build.yaml"), 0o600),
		os.MkdirAll(filepath.Join(dir, "images.d/x.yaml"), 0o700)); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		_, err := Read(os.DirFS(dir), dir, schema())
		ended <- err
	}()
	select {
	case err := <-ended:
		want := fmt.Sprintf("read %[1]s/build.yaml: it is not a regular file\nread %[1]s/images.d/x.yaml: it is not "+
			"a regular file", dir)
		if err == nil || err.Error() != want {
			t.Errorf("error %v\nwant %s", err, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("it waits for who writes to a FIFO")
	}
}

func TestReadList(t *testing.T) {
	s, err := ReadList("i.yaml", []byte("common: &c\n  profile: virt\nimages:\n- out: a\n  <<: *c\n"+
		"- {out: b, profile: [x, 'y:/z']}\n"), schema())
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, image := range s.Images {
		got = append(got, image.At.String()+" "+strings.Join(image.Settings.Args(), " "))
	}
	if diff := cmp.Diff([]string{"i.yaml:4 --out=a --profile=virt", "i.yaml:6 --out=b --profile=x --profile=y:/z"},
		got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for text, want := range map[string]string{
		"":                          "i.yaml: there are no images",
		"common: {out: a}\n":        "i.yaml: there are no images",
		"image:\n- out: a\n":        `i.yaml:1: unknown key "image", did you mean images?`,
		"images: 3\n":               `i.yaml:1: "images:" is a list`,
		"images:\n- out: a\n  x: 1": `i.yaml:3: unknown key "x"`,
	} {
		if _, err := ReadList("i.yaml", []byte(text), schema()); err == nil || !strings.Contains(err.Error(), want) ||
			strings.Contains(err.Error(), "unmarshal") {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func FuzzReadList(f *testing.F) {
	f.Add([]byte("common:\n  profile: virt\nimages:\n- out: a\n  add: [x, 'y:/z']\n- {out: b, compress: zstd}\n"))
	f.Add([]byte("images: [{out: a}, {out: a}]"))
	f.Add([]byte("images:\n- &a {out: x}\n- *a\n- &b\n  <<: [*a, *b]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 1<<12 {
			return
		}
		s, err := ReadList("f", data, schema())
		if err == nil && s.Images == nil {
			t.Error("no images, and no error")
		}
		for _, image := range s.Images {
			for _, one := range image.Settings {
				if _, known := schema()[one.Name]; !known {
					t.Errorf("a setting of an unknown flag: %v", one)
				}
			}
		}
	})
}

func TestExpand(t *testing.T) {
	values := map[string]string{"kver": "6.1", "arch": "amd64"}
	for name, want := range map[string]string{
		"/srv/n.img": "/srv/n.img", "n-{kver}-{arch}.img": "n-6.1-amd64.img", "{kver}{kver}": "6.16.1", "a}": "a}",
	} {
		if got, err := Expand(name, values); err != nil || got != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
	for _, name := range []string{"{kvr}", "{", "{}", "a{kver"} {
		if got, err := Expand(name, values); err == nil || !strings.Contains(err.Error(), "take {arch}, {kver}") {
			t.Errorf("%s: got %q, %v", name, got, err)
		}
	}
}

// What was made for a kernel goes with it; what somebody has changed, or made for another
// kernel since, does not.
func TestRecord(t *testing.T) {
	dir := t.TempDir()
	r := Record{Dir: filepath.Join(dir, "state", "images")}
	file := func(name, text string) string {
		t.Helper()
		at := filepath.Join(dir, name)
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return at
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	ours, changed, moved, gone := file("ours", "1"), file("changed", "2"), file("moved", "3"), file("gone", "4")
	must(r.Add(t.Context(), "6.1", ours, changed, moved, gone))
	must(r.Add(t.Context(), "6.1", ours)) // again, as a hook that runs twice
	file("moved", "of 6.2")
	must(r.Add(t.Context(), "6.2", moved))
	file("changed", "by somebody")
	must(os.Remove(gone))

	dry, err := r.Remove(t.Context(), "6.1", true)
	must(err)
	if _, err := os.Stat(ours); err != nil {
		t.Errorf("a dry run removed it: %v", err)
	}
	done, err := r.Remove(t.Context(), "6.1", false)
	must(err)
	if diff := cmp.Diff(dry, done); diff != "" {
		t.Errorf("the dry run says otherwise (-dry +done):\n%s", diff)
	}
	want := []Removal{{Path: changed, Why: "it was changed since nodisk made it"}, {Path: ours}}
	if diff := cmp.Diff(want, done); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, at := range []string{changed, moved} {
		if _, err := os.Stat(at); err != nil {
			t.Errorf("somebody else's: %v", err)
		}
	}
	if _, err := os.Stat(ours); err == nil {
		t.Error("it stayed")
	}
	releases, err := r.Releases()
	must(err)
	if diff := cmp.Diff([]string{"6.2"}, releases); diff != "" {
		t.Errorf("releases (-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "..", "a/b"} {
		if _, err := r.Remove(t.Context(), bad, false); err == nil {
			t.Errorf("%q is taken for a release", bad)
		}
		if err := r.Add(t.Context(), bad, moved); err == nil {
			t.Errorf("%q is taken for a release", bad)
		}
	}
	file("state/images/6.3", "rubbish\n")
	if _, err := r.Remove(t.Context(), "6.3", false); err == nil || !strings.Contains(err.Error(), "6.3:1: not") {
		t.Errorf("a damaged record: %v", err)
	}
}

// A placeholder that does not end is told as that.
func TestExpandUnclosed(t *testing.T) {
	_, err := Expand("a-{kver", map[string]string{"kver": "6.1", "arch": "amd64"})
	if err == nil || err.Error() != "a-{kver: a { without its }: take {arch}, {kver}" {
		t.Errorf("error %v", err)
	}
}
