package build

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/cache"
	"github.com/nodisk/nodisk/build/initramfs"
)

// What boots the node is not replaced unasked; the sentence says what to do.
func TestAddKeepsOwnFiles(t *testing.T) {
	dir := "lib/modules/" + buildtest.Release + "/"
	for name, tt := range map[string]struct {
		tree    map[string]string
		exclude []string
		want    []string
	}{
		"init": {map[string]string{"init": "sh"}, nil, []string{
			"/init", "nodisk's own", "--init FILE",
			"--exclude init",
		}},
		"init, link": {map[string]string{"init": "-> sbin/init"}, nil, []string{"/init", "--exclude init"}},
		"config": {map[string]string{"etc/nodisk/nodisk.conf": "x"}, nil, []string{
			"/etc/nodisk/nodisk.conf",
			"--config FILE",
		}},
		"index": {map[string]string{dir + "modules.dep": "x"}, nil, []string{
			dir + "modules.dep", "--modules",
			"--exclude",
		}},
		"module": {map[string]string{dir + "kernel/fs/ext4/ext4.ko": "x"}, nil, []string{
			"ext4.ko",
			"--module-dir",
		}},
		"merged": {
			map[string]string{"lib": "-> usr/lib", "usr/" + dir + "modules.dep": "x"},
			nil,
			[]string{"usr/" + dir + "modules.dep"},
		},
		"own modules": {map[string]string{"nodisk/lib/modules/1/modules.dep": "x"}, nil, []string{"--exclude nodisk"}},
		"all left out": {
			map[string]string{"init": "sh", "etc/nodisk/nodisk.conf": "x", dir + "modules.dep": "x"},
			[]string{"/init", "etc/nodisk", dir + "modules.*"},
			nil,
		},
		"another kernel's": {map[string]string{"lib/modules/1.2.3/modules.dep": "x"}, nil, nil},
	} {
		t.Run(name, func(t *testing.T) {
			_, files, err := addTo(t, func(s *Spec) { s.Exclude = tt.exclude }, tt.tree)
			if tt.want == nil {
				if err != nil || !strings.HasPrefix(string(files["init"].Data), "\x7fELF") {
					t.Errorf("%v; /init is %.10q", err, files["init"].Data)
				}
				return
			}
			for _, want := range tt.want {
				if err == nil || !strings.Contains(err.Error(), want) {
					t.Errorf("error %v, want %q", err, want)
				}
			}
		})
	}
}

// A root with the package of its kernel keeps all its modules, and /init finds its own.
func TestAddRootWithModules(t *testing.T) {
	dir := "usr/lib/modules/" + buildtest.Release + "/"
	r, files, err := addTo(t, nil, map[string]string{
		"lib": "-> usr/lib", dir + "modules.dep": "all", dir + "kernel/fs/ext4/ext4.ko.xz": "theirs",
		dir + "modules.dep.bin": "bin",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{dir + "modules.dep": "all", dir + "kernel/fs/ext4/ext4.ko.xz": "theirs"} {
		if string(files[name].Data) != want {
			t.Errorf("/%s is %q", name, files[name].Data)
		}
	}
	own := initramfs.OwnDir + "/lib/modules/" + buildtest.Release + "/modules.dep"
	if !strings.Contains(string(files[own].Data), "ext4.ko:") {
		t.Errorf("/%s is %q", own, files[own].Data)
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "stays whole") {
		t.Errorf("notes %q", r.Notes)
	}
}

func TestAddUnreadable(t *testing.T) {
	for _, c := range []struct {
		a           adder
		who, remedy string
	}{
		{adder{self: 1000}, "user 1000", "run nodisk as root"},
		{adder{self: 1000, mapped: true}, "user 1000", "run nodisk as root"},
		{
			adder{self: 0, mapped: true},
			"user 0 of a user namespace (unshare -r, a rootless container)",
			"run nodisk as root outside of it",
		},
		{adder{self: 0}, "root", "run nodisk where they can be read (of an NFS export with root_squash: " +
			"on its server)"},
	} {
		for i := range 5 {
			c.a.unreadable.add(fmt.Sprintf("/r/%d", i))
		}
		want := "add files: 5 cannot be read by " + c.who + ": /r/0, /r/1, /r/2 and 2 more: " + c.remedy +
			", or leave them out with --exclude"
		if got := fmt.Sprint(c.a.refusal()); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// Sockets are left out, the cache of this build too; its outputs are refused there (TestCheckOutputs).
func TestAddLeavesOut(t *testing.T) {
	dir := t.TempDir()
	buildtest.Write(t, filepath.Join(dir, "keep"), []byte("x"))
	buildtest.Write(t, filepath.Join(dir, "cache", "block"), []byte("x"))
	listen(t, filepath.Join(dir, "socket"))
	s := testSpec(t, buildtest.Tree(t))
	s.Add, s.Cache = []Addition{{dir, "/x"}}, cache.New(filepath.Join(dir, "cache"))
	r, image := makeImage(t, s)
	files := inspected(t, image)
	for _, name := range []string{"x/cache/block", "x/socket"} {
		if _, there := files[name]; there {
			t.Errorf("/%s is in the image", name)
		}
	}
	if _, there := files["x/keep"]; !there {
		t.Error("/x/keep is not in the image")
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"cache, the cache of this build, is left out", "1 file left out: sockets"} {
		if !strings.Contains(notes, want) {
			t.Errorf("notes %q, want %q", notes, want)
		}
	}
}

// What goes away between the listing of a directory and its files is left out, and told.
func TestAddVanished(t *testing.T) {
	var a adder
	dir := facts{Stamp: initramfs.Stamp{Dev: 1}, mode: initramfs.TypeDir | 0o755}
	if err := a.walk(t.Context(), filepath.Join(t.TempDir(), "gone"), "x", dir, mount{}); err != nil {
		t.Fatal(err)
	}
	if notes, _ := a.findings(); len(notes) != 1 ||
		!strings.Contains(notes[0], "1 file left out, gone while the tree was read") {
		t.Errorf("notes %q", notes)
	}
}

// What is mounted below is left out, also where a bind mount is of the same device: directories are empty, files are
// not there at all, and one note tells it.
func TestAddMountPoint(t *testing.T) {
	var a adder
	for at, change := range map[string]func(*mount){
		"/proc":      func(m *mount) { m.dev++ },
		"/proc/self": func(m *mount) { m.id++ },
		"/proc/stat": func(m *mount) { m.id++ },
	} {
		is, err := lstat(at)
		if at == "/proc/self" {
			is, err = lstat(at + "/.") // not the link
		}
		if err != nil {
			t.Fatal(err)
		}
		on := is.mount
		change(&on)
		if err := a.walk(t.Context(), at, at[1:], is, on); err != nil {
			t.Fatal(err)
		}
	}
	if len(a.files) != 2 || slices.ContainsFunc(a.files, func(f initramfs.Entry) bool { return f.Name == "proc/stat" }) {
		t.Errorf("%d files", len(a.files))
	}
	notes, _ := a.findings()
	if len(notes) != 1 || !strings.Contains(notes[0], "what is mounted below a directory that is added is left out") {
		t.Errorf("notes %q", notes)
	}
}

func TestAdditionText(t *testing.T) {
	dir := t.TempDir()
	t.Chdir(dir)
	buildtest.Write(t, "a:b", nil)
	for text, want := range map[string]Addition{
		"a:/b": {"a", "/b"}, "a:b": {}, "a:c": {"a", "c"}, "a:b:/c": {"a:b", "/c"},
		"pci:0000:00:03.0:/x": {"pci:0000:00:03.0", "/x"},
		"/a:/b:/c":            {"/a:/b", "/c"}, "a": {"a", filepath.Join(dir, "a")}, "./a:b:/": {"./a:b", "/"},
		"a:b:c": {},
		"x:":    {}, ":/x": {}, "": {},
	} {
		var got Addition
		err := got.UnmarshalText([]byte(text))
		if got != want || (err == nil) != (want != Addition{}) {
			t.Errorf("%q is %+v, %v; want %+v", text, got, err, want)
		}
	}
	var a Addition
	if err := a.UnmarshalText([]byte("a:b")); err == nil || !strings.Contains(err.Error(), "a:b:/a:b") {
		t.Errorf("error %v names no remedy", err)
	}
}

func TestExclude(t *testing.T) {
	for _, tt := range []struct {
		pattern, name string
		want          bool
	}{
		{"var/cache/apt", "var/cache/apt", true},
		{"/var/cache/apt/", "var/cache/apt", true},
		{"var/cache/*", "var/cache/apt", true},
		{"var/cache/*", "var/cache", false},
		{"var/*", "var/cache/apt", false}, // but var/cache is, and nobody goes there
		{"**/*.pyc", "usr/lib/a.pyc", true},
		{"**/*.pyc", "a.pyc", true},
		{"usr/**/doc", "usr/share/a/doc", true},
		{"usr/**", "usr/bin", true},
		{"*.pyc", "usr/a.pyc", false},
		{"init", "sbin/init", false},
	} {
		list, err := parseExclusions([]string{tt.pattern})
		if err != nil {
			t.Fatal(err)
		}
		if got := excluded(list, tt.name); got != tt.want {
			t.Errorf("%s, /%s: %v", tt.pattern, tt.name, got)
		}
	}
	for _, bad := range []string{"/", "a[", "a\\"} {
		if _, err := parseExclusions([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
	r, files, err := addTo(t, func(s *Spec) { s.Exclude = []string{"var/cache/*", "nothing"} }, map[string]string{
		"var/cache/a/b": "x", "var/cache/c": "x", "var/lib/d": "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"var/cache": true, "var/cache/a": false, "var/cache/a/b": false,
		"var/cache/c": false, "var/lib/d": true,
	} {
		if _, there := files[name]; there != want {
			t.Errorf("/%s is there: %v", name, there)
		}
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "--exclude nothing: nothing that is added has such a path") {
		t.Errorf("notes %q", r.Notes)
	}
}

// Of several additions the last has a file; the links of one count for all.
func TestAddSeveral(t *testing.T) {
	one, two := t.TempDir(), t.TempDir()
	buildtest.Write(t, filepath.Join(one, "usr/lib/a"), []byte("first"))
	if err := os.Symlink("usr/lib", filepath.Join(one, "lib")); err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, filepath.Join(two, "a"), []byte("second"))
	buildtest.Write(t, filepath.Join(two, "b"), []byte("b"))
	s := testSpec(t, buildtest.Tree(t))
	s.Add = []Addition{
		{one, "/"},
		{two, "/lib"},
		{filepath.Join(two, "b"), "/etc/"},
		{filepath.Join(two, "b"), filepath.Join(two, "b")},
	}
	r, image := makeImage(t, s)
	files := inspected(t, image)
	for name, want := range map[string]string{"usr/lib/a": "second", "usr/lib/b": "b", "etc/b": "b"} {
		if string(files[name].Data) != want {
			t.Errorf("/%s is %q, want %q", name, files[name].Data, want)
		}
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "goes in as "+filepath.Join(two, "b")) {
		t.Errorf("notes %q", r.Notes)
	}
}
