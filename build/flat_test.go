package build

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/modload"
)

// flatDir makes a directory of modules as it lies on an administrator's disk.
func flatDir(t *testing.T, name, release string, modules ...string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	buildtest.Write(t, filepath.Join(dir, "README"), []byte("hello\n"))
	for _, m := range modules {
		plain, packed := strings.CutSuffix(m, ".gz")
		buildtest.Write(t, filepath.Join(dir, plain), buildtest.ModuleStub(ko.ModuleName(m), release))
		if packed {
			if out, err := exec.CommandContext(t.Context(), buildtest.Tool(t, "gzip"), filepath.Join(dir, plain)).
				CombinedOutput(); err != nil {
				t.Fatalf("gzip: %v: %s", err, out)
			}
		}
	}
	return dir
}

// modulesOf lists what is below lib/modules, without indexes.
func modulesOf(t *testing.T, image []byte) (paths []string, text string) {
	t.Helper()
	c, err := initramfs.Inspect(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range c.Files {
		if f.Part == initramfs.PartModules {
			paths = append(paths, f.Name)
		}
	}
	var out strings.Builder
	if err := c.WriteText(&out, false); err != nil {
		t.Fatal(err)
	}
	return paths, out.String()
}

// A flat directory lies beside the tree, unpacked, and its names need not be in
// the tree.
func TestFlatFolder(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	s.Profiles = []string{"virt"}
	s.ModuleDirs = []string{flatDir(t, "ib", buildtest.Release, "ib_core.ko", "hca-x.ko.gz"), flatDir(t, "own",
		buildtest.Release, "virtio_net.ko")}
	s.Config = []byte("nodisk.modules=ib_core,hca_x\nrd.driver.post=virtio\n")
	r, image := makeImage(t, s)
	paths, text := modulesOf(t, image)
	dir := "lib/modules/" + buildtest.Release + "/kernel/drivers/"
	want := []string{
		dir + "net/virtio_net.ko", dir + "virtio/virtio.ko", dir + "virtio/virtio_pci.ko",
		"lib/modules/ib/hca-x.ko", "lib/modules/ib/ib_core.ko", "lib/modules/own/virtio_net.ko",
	}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	warning := []string{"/lib/modules/own/virtio_net.ko will not be loaded: /lib/modules/" + buildtest.Release +
		" has a module of that name, which comes first"}
	if diff := cmp.Diff(warning, r.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	for _, line := range []string{
		"modules by name from /lib/modules/ib: hca_x ib_core\n",
		"modules by name from /lib/modules/own: virtio_net\n", "modules of Linux " + buildtest.Release + "\n",
	} {
		if !strings.Contains(text, line) {
			t.Errorf("inspect lacks %q:\n%s", line, text)
		}
	}
}

func TestFlatFoldersOnly(t *testing.T) {
	s := testSpec(t, "")
	s.Modules, s.Profiles = NoModules, []string{"virt", "ram"}
	s.Kernel = filepath.Join(t.TempDir(), "vmlinuz")
	buildtest.Write(t, s.Kernel, buildtest.BzImage(buildtest.Release))
	s.ModuleDirs = []string{flatDir(t, "all", buildtest.Release, "virtio_pci.ko", "extra.ko")}
	s.ExtraModules = []string{"extra"}
	r, image := makeImage(t, s)
	paths, text := modulesOf(t, image)
	if diff := cmp.Diff([]string{"lib/modules/all/extra.ko", "lib/modules/all/virtio_pci.ko"}, paths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(text, "modules of Linux") {
		t.Errorf("inspect sees a tree:\n%s", text)
	}
	if diff := cmp.Diff([]string{"profile virt: no module virtio_net in the image; the kernel must have that built in"},
		r.Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestFlatFolderErrors(t *testing.T) {
	root := buildtest.Tree(t)
	good := flatDir(t, "ib", buildtest.Release, "a.ko")
	for name, tt := range map[string]struct {
		change func(s *Spec)
		want   []string
	}{
		"another kernel's": {
			func(s *Spec) { s.ModuleDirs = []string{flatDir(t, "ib", "5.0.0", "ib_core.ko", "hca.ko")} },
			[]string{
				"hca (ib/hca.ko): it was built for 5.0.0", "ib_core (ib/ib_core.ko): it was built for 5.0.0",
				"Linux " + buildtest.Release + " would refuse",
			},
		},
		"no modules": {
			func(s *Spec) {
				dir := flatDir(t, "ib", buildtest.Release)
				buildtest.Write(t, filepath.Join(dir, "x.ko"), buildtest.ELFStub(buildtest.MachineAMD64, "program"))
				s.ModuleDirs = []string{dir}
			}, []string{"x (ib/x.ko): read kernel module"},
		},
		"damaged": {
			func(s *Spec) {
				dir := flatDir(t, "ib", buildtest.Release)
				buildtest.Write(t, filepath.Join(dir, "x.ko"), []byte("text"))
				s.ModuleDirs = []string{dir}
			}, []string{"module x", "not an ELF file"},
		},
		"empty": {
			func(s *Spec) { s.ModuleDirs = []string{flatDir(t, "ib", buildtest.Release)} },
			[]string{"no module (.ko"},
		},
		"same name": {
			func(s *Spec) { s.ModuleDirs = []string{good, flatDir(t, "ib", buildtest.Release, "b.ko")} },
			[]string{"both would become /lib/modules/ib"},
		},
		"the kernel's": {
			func(s *Spec) { s.ModuleDirs = []string{flatDir(t, buildtest.Release, buildtest.Release, "b.ko")} },
			[]string{"--modules, or rename"},
		},
		"twice inside": {
			func(s *Spec) { s.ModuleDirs = []string{flatDir(t, "ib", buildtest.Release, "a.ko.gz", "a.ko")} },
			[]string{"/lib/modules/ib/a.ko is in the image twice"},
		},
		"given as a tree": {func(s *Spec) { s.Modules = good }, []string{"neither modules.dep", "--module-dir"}},
		"no kernel":       {func(s *Spec) { s.Modules = NoModules }, []string{"--kernel"}},
		"not in the directories": {
			func(s *Spec) {
				s.Kernel = filepath.Join(t.TempDir(), "vmlinuz")
				buildtest.Write(t, s.Kernel, buildtest.BzImage(buildtest.Release))
				s.Modules, s.ModuleDirs, s.ExtraModules = NoModules, []string{good}, []string{"a", "b"}
			}, []string{"no b in the flat directories"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec(t, root)
			tt.change(&s)
			_, err := Image(t.Context(), s, nil)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range tt.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("error %q lacks %q", err, want)
				}
			}
			if _, err := os.Stat(s.Out); err == nil {
				t.Error("there is an image all the same")
			}
		})
	}
}

// Names from old manuals end in a note, others in an error.
func TestNotes(t *testing.T) {
	x, err := modload.Open(fstest.MapFS{"lib/modules/r/modules.dep": {Data: []byte("a/ib_core.ko:\na/ib_ipoib.ko:\n")}},
		"r")
	if err != nil {
		t.Fatal(err)
	}
	ib := modload.Profile{Name: "ib", Order: []string{"ib_addr", "ib_core", "ib_sa"}}
	hca := modload.Profile{Name: "hca", Order: []string{"hca", "ib_ipoib"}}
	have, texts := notes(x, []modload.Profile{ib, hca}, []string{"ib_core", "ib_ucm", "ib_cor"})
	if diff := cmp.Diff([]string{"ib_core", "ib_cor"}, have); diff != "" {
		t.Errorf("have (-want +got):\n%s", diff)
	}
	want := []string{
		"profile ib: Linux r has no ib_addr, ib_sa; newer kernels have merged them into ib_core or do without",
		"profile hca: Linux r has no hca; the rest is in the image",
		"modules asked for by name: Linux r has no ib_ucm; newer kernels have merged them into ib_core or do without",
	}
	if diff := cmp.Diff(want, texts); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// A FIFO among the modules is refused, not waited for.
func TestModuleDirFIFO(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "fifo.ko"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readFolder(t.Context(), dir, "lib/modules/x"); err == nil ||
		err.Error() != "fifo.ko is not a file: remove it" {
		t.Errorf("error %v", err)
	}
}
