package build

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
)

func TestCheckOutputs(t *testing.T) {
	root := buildtest.Tree(t)
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	at := func(name string) string { return filepath.Join(dir, name) }
	for _, name := range []string{
		"vmlinuz", "base.img", "conf", "hardware", "key", "added", "tree/etc/hosts",
		"tree/srv/x", "fw/net.bin", "flat/one.ko", "busybox",
	} {
		buildtest.Write(t, at(name), []byte(name))
	}
	buildtest.Symlink(t, "vmlinuz", at("link"))
	buildtest.Symlink(t, "tree", at("treelink"))
	buildtest.Symlink(t, "/dev/stdout", at("stdout"))
	for from, to := range map[string]string{"vmlinuz": "hard", "conf": "conf.hard"} {
		if err := os.Link(at(from), at(to)); err != nil {
			t.Fatal(err)
		}
	}
	base := Spec{
		Kernel: at("vmlinuz"), Modules: root, Base: Base{Image: at("base.img")}, ModuleDirs: []string{at("flat")},
		Firmware: []string{at("fw")}, Out: at("image"),
		Add:     []Addition{{Source: at("tree"), Destination: "/"}, {Source: at("added"), Destination: "/x"}},
		Secrets: []Secret{{Source: at("key"), Destination: "k"}}, Inputs: []Input{{"--config", at("conf")}, {
			"--rescue",
			at("busybox"),
		}},
	}
	t.Chdir(dir)
	for name, tt := range map[string]struct {
		change func(s *Spec)
		want   string // empty: no error
	}{
		"good": {func(*Spec) {}, ""},
		"kernel": {
			func(s *Spec) { s.Out = at("vmlinuz") },
			"it is what --kernel reads, and would be lost",
		},
		"kernel, another path":  {func(s *Spec) { s.Out = "tree/../vmlinuz" }, "it is what --kernel reads"},
		"kernel by a link":      {func(s *Spec) { s.Out = at("link") }, "it is what --kernel reads"},
		"kernel by a hard link": {func(s *Spec) { s.Out = at("hard") }, "it is what --kernel reads"},
		"kernel given by link": {
			func(s *Spec) { s.Out, s.Kernel = at("vmlinuz"), at("link") },
			"it is what --kernel reads",
		},
		"base":       {func(s *Spec) { s.SBOM = at("base.img") }, "it is what --base reads"},
		"config":     {func(s *Spec) { s.SecretOut = at("conf.hard") }, "it is what --config reads"},
		"rescue":     {func(s *Spec) { s.Out = at("busybox") }, "it is what --rescue reads"},
		"secret":     {func(s *Spec) { s.SecretOut = at("key") }, "it is what --secret reads"},
		"added file": {func(s *Spec) { s.Out = at("added") }, "it is what --add reads"},
		"file of added tree": {func(s *Spec) { s.Out = at("tree/etc/hosts") }, "it is in " + at("tree") +
			", which --add reads"},
		"new in added tree": {func(s *Spec) { s.Out = at("treelink/new.img") }, "it is in " + at("tree") +
			", which --add reads"},
		"added working directory": {
			func(s *Spec) { s.Add = []Addition{{Source: ".", Destination: "/"}} },
			"it is in ., which --add reads",
		},
		"left out of the image": {func(s *Spec) { s.Out, s.Exclude = at("tree/srv/new.img"), []string{"srv/*"} }, ""},
		"firmware":              {func(s *Spec) { s.Out = at("fw/net.bin") }, "--firmware reads"},
		"module":                {func(s *Spec) { s.Out = at("flat/one.ko") }, "--module-dir reads"},
		"beside the modules":    {func(s *Spec) { s.Out = at("flat/initramfs.img") }, ""},
		"index": {
			func(s *Spec) { s.Out = filepath.Join(root, "lib/modules", buildtest.Release, "modules.dep") }, "--modules reads",
		},
		"image of a module tree": {func(s *Spec) {
			s.Out = filepath.Join(root, "lib/modules", buildtest.Release, "initramfs.img")
		}, ""},
		"secrets and image": {
			func(s *Spec) { s.SecretOut = "./image" },
			"it is written twice, as --out and as --secret-out",
		},
		"list and image": {
			func(s *Spec) { s.Out, s.SBOM = at("new"), at("treelink/../new") },
			"it is written twice, as --out and as --sbom",
		},
		"a hard link of another output": {
			func(s *Spec) { s.Kernel, s.Out, s.SBOM = "", at("hard"), at("vmlinuz") },
			"it is written twice",
		},
		"stdout twice": {
			func(s *Spec) { s.Out, s.SBOM = "-", at("stdout") },
			"it is written twice, as --out and as --sbom",
		},
		"null twice": {func(s *Spec) { s.Out, s.SBOM = "/dev/null", "/dev/null" }, ""},
		"no directory": {func(s *Spec) { s.SBOM = at("no/list") }, "write --sbom: " + at("no/list") +
			": there is no directory " + at("no")},
	} {
		s := base
		tt.change(&s)
		err := CheckOutputs(s)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
}

// Several images: each other's inputs and outputs count.
func TestCheckOutputsOfSeveral(t *testing.T) {
	t.Chdir(t.TempDir())
	buildtest.Write(t, "vmlinuz", nil)
	err := CheckOutputs(Spec{Out: "a", SBOM: "list"}, Spec{Out: "./list"}, Spec{Kernel: "vmlinuz", Out: "b"},
		Spec{Out: "vmlinuz"})
	want := "write ./list: it is written twice, as --sbom of image 1 and as --out of image 2: give each " +
		"its own path\n" +
		"write vmlinuz: it is what --kernel reads, and would be lost: give another path"
	if err == nil || err.Error() != want {
		t.Errorf("error %v\nwant  %s", err, want)
	}
}

// Nothing is lost, and nothing written, where an output is an input.
func TestImageOntoInput(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	s.Kernel = filepath.Join(t.TempDir(), "vmlinuz")
	buildtest.Write(t, s.Kernel, buildtest.BzImage(buildtest.Release))
	s.SBOM = s.Kernel
	if _, err := Image(t.Context(), s, nil); err == nil || !strings.Contains(err.Error(), "it is what --kernel reads") {
		t.Errorf("error %v", err)
	}
	if buildtest.ReadText(t, s.Kernel) != string(buildtest.BzImage(buildtest.Release)) {
		t.Error("the kernel was overwritten")
	}
	if left := buildtest.Names(t, filepath.Dir(s.Out)); left != nil {
		t.Errorf("written: %v", left)
	}
}
