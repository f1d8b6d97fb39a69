package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/modload"
)

// moduleNames are the modules of an image, sorted.
func moduleNames(r Report) []string {
	var names []string
	for _, m := range r.Modules {
		names = append(names, m.Name)
	}
	slices.Sort(names)
	return names
}

// What modprobe.d says decides at build time too: softdeps and aliases lead to
// modules, blacklisted ones stay.
func TestModprobe(t *testing.T) {
	conf := t.TempDir()
	buildtest.Write(t, filepath.Join(conf, "b.conf"), []byte("softdep virtio_net post: dummy\nblacklist virtio-net\n"+
		"options mynet x=1\nalias mynet virtio_net\ninstall sd_mod /sbin/modprobe -i sd_mod\n"))
	buildtest.Write(t, filepath.Join(conf, "README"), []byte("not read\n"))
	single := filepath.Join(t.TempDir(), "more")
	buildtest.Write(t, single, []byte("alias extra sd_mod\n"))
	later := filepath.Join(t.TempDir(), "b.conf")
	buildtest.Write(t, later, []byte("softdep virtio_net post: nothing\n"))
	late := filepath.Join(t.TempDir(), "zz.conf")
	buildtest.Write(t, late, []byte("softdep dummy pre: loop\n"))

	root := buildtest.Tree(t)
	s := testSpec(t, root)
	s.Profiles, s.Config, s.Compress = []string{"virt"}, nil, compress.None
	s.Modprobe, s.ExtraModules = []string{conf, single, later, late}, []string{"extra"}
	r, image := makeImage(t, s)
	dir := t.TempDir()
	unpackImage(t, image, dir)

	want := []string{
		"crc32c_generic", "dummy", "ext4", "jbd2", "scsi_mod", "sd_mod", "virtio", "virtio_net",
		"virtio_pci",
	}
	if diff := cmp.Diff(want, moduleNames(r)); diff != "" {
		t.Errorf("modules (-want +got):\n%s", diff)
	}
	files, err := os.ReadDir(filepath.Join(dir, initramfs.ModprobeDir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		names = append(names, f.Name())
	}
	if diff := cmp.Diff([]string{"b.conf", "more.conf", "zz.conf"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	c := modload.ReadConf(os.DirFS(dir))
	if len(c.Blacklist) != 1 || c.Params.For("mynet") != "x=1" {
		t.Errorf("the image says %+v", c)
	}
	if diff := cmp.Diff([]string{"/etc/modprobe.d/b.conf:5: install sd_mod: nodisk does not run the command, it " +
		"loads the module itself"}, r.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	wantNotes := []string{
		"modprobe.d blacklists virtio_net: still in the image, for whoever names them",
		"/etc/modprobe.d/b.conf: options mynet has no effect: that is an alias; write options virtio_net",
		"/etc/modprobe.d/zz.conf: softdep dummy has no effect, as with modprobe: the module has a softdep of its " +
			"own, and modules.softdep comes before this file by name",
	}
	if diff := cmp.Diff(wantNotes, r.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// Files of --add count as those of --modprobe, and before them.
func TestModprobeAdded(t *testing.T) {
	etc := t.TempDir()
	buildtest.Write(t, filepath.Join(etc, "modprobe.d", "a.conf"), []byte("options one x=1\n"))
	buildtest.Write(t, filepath.Join(etc, "other", "a.conf"), []byte("options no x=1\n"))
	tree := t.TempDir()
	buildtest.Write(t, filepath.Join(tree, "lib", "modprobe.d", "a.conf"), []byte("options hidden x=1\n"))
	buildtest.Write(t, filepath.Join(tree, "lib", "modprobe.d", "c.conf"), []byte("options three x=1\n"))
	if err := os.Symlink("/dev/null", filepath.Join(etc, "modprobe.d", "gone.conf")); err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, filepath.Join(tree, "lib", "modprobe.d", "gone.conf"), []byte("options hidden x=1\n"))
	given := t.TempDir()
	buildtest.Write(t, filepath.Join(given, "a.conf"), []byte("options hidden x=1\n"))
	buildtest.Write(t, filepath.Join(given, "b.conf"), []byte("options two x=1\n"))
	s := Spec{
		Modprobe: []string{given},
		Add: []Addition{
			{Source: etc, Destination: "/etc"},
			{Source: tree, Destination: "/"},
			{Source: filepath.Join(given, "b.conf"), Destination: "run/modprobe.d/d.conf"},
		},
	}
	_, c, err := s.modprobe()
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, p := range c.Params {
		names = append(names, p.Module)
	}
	if diff := cmp.Diff([]string{"one", "two", "three", "two"}, names); diff != "" {
		t.Errorf("options of (-want +got):\n%s", diff)
	}
}

func TestModprobeErrors(t *testing.T) {
	empty := t.TempDir()
	buildtest.Write(t, filepath.Join(empty, "modprobe.cfg"), nil)
	large := filepath.Join(t.TempDir(), "a.conf")
	buildtest.Write(t, large, make([]byte, confMax+1))
	for source, want := range map[string]string{
		filepath.Join(empty, "nothing"): "no such file",
		empty:                           "no file in it ends in .conf",
		"/dev/null":                     "neither a directory nor a file",
		large:                           "more than 1024 KiB",
	} {
		_, _, err := Spec{Modprobe: []string{source}}.modprobe()
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), source) {
			t.Errorf("%s: error %v, want %q", source, err, want)
		}
	}
}

// The configuration of an OS image's root is not taken unasked, but told of when
// it matters.
func TestModprobeLeft(t *testing.T) {
	root := buildtest.Tree(t)
	s := testSpec(t, root)
	at := filepath.Join(root, initramfs.ModprobeDir, "a.conf")
	buildtest.Write(t, at, []byte("options loop max_loop=1\nblacklist pcspkr\n"))
	if r, _ := makeImage(t, s); r.Notes != nil {
		t.Errorf("notes about modules that are not there: %q", r.Notes)
	}
	buildtest.Write(t, at, []byte("options sd-mod x=1\n"))
	r, _ := makeImage(t, s)
	want := []string{root + "/etc/modprobe.d says something of sd_mod and is not in the image: --modprobe " + root +
		"/etc/modprobe.d takes it"}
	if diff := cmp.Diff(want, r.Notes); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.Modprobe = []string{filepath.Join(root, initramfs.ModprobeDir)}
	if r, _ := makeImage(t, s); r.Notes != nil {
		t.Errorf("notes about what is taken: %q", r.Notes)
	}
}
