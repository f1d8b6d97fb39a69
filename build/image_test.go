package build

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/internal/namelist"
	"github.com/nodisk/nodisk/modload"
)

func makeImage(t *testing.T, s Spec) (Report, []byte) {
	t.Helper()
	r, err := Image(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.Out)
	if err != nil {
		t.Fatal(err)
	}
	return r, data
}

func TestImageIsReproducible(t *testing.T) {
	a, first := makeImage(t, testSpec(t, buildtest.Tree(t)))
	b, second := makeImage(t, testSpec(t, buildtest.Tree(t)))
	if a.SHA256 != b.SHA256 || !bytes.Equal(first, second) {
		t.Errorf("two images of the same input differ: %s, %s", a.SHA256, b.SHA256)
	}
}

func TestImageSummary(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	extra := filepath.Join(t.TempDir(), "banner")
	buildtest.Write(t, extra, []byte("hello\n"))
	s.Add = []Addition{{Source: extra, Destination: "/etc/motd"}}
	r, data := makeImage(t, s)
	r.Out, r.Took = "image", 0
	var text strings.Builder
	if err := r.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	buildtest.Golden(t, "summary.txt", text.String())

	c, err := initramfs.Inspect(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	text.Reset()
	if err := c.WriteText(&text, true); err != nil {
		t.Fatal(err)
	}
	buildtest.Golden(t, "contents.txt", text.String())
}

func TestImageErrors(t *testing.T) {
	root := buildtest.Tree(t)
	kernel := filepath.Join(t.TempDir(), "vmlinuz")
	buildtest.Write(t, kernel, buildtest.BzImage("6.1.0-other"))
	for name, tt := range map[string]struct {
		change func(s *Spec)
		want   []string
	}{
		"another kernel": {func(s *Spec) { s.Kernel = kernel }, []string{"6.1.0-other", buildtest.Release}},
		"unknown profile": {func(s *Spec) { s.Profiles = []string{"virt", "iscsy"} }, []string{
			"iscsy", "there are",
			"iscsi",
		}},
		"no profile": {func(s *Spec) { s.Profiles = nil }, []string{"--profile"}},
		"missing module": {func(s *Spec) { s.ExtraModules = []string{"dumy"} }, []string{
			`"dumy"`, `"dummy"`,
			"asked for by name",
		}},
		"no directory": {
			func(s *Spec) { s.Out = filepath.Join(root, "no", "image") },
			[]string{"there is no directory"},
		},
		"out is a directory": {func(s *Spec) { s.Out = root }, []string{"is a directory"}},
		"no modules": {
			func(s *Spec) { s.Modules = filepath.Dir(kernel) },
			[]string{"neither modules.dep nor lib/modules"},
		},
		"profile not inside": {
			func(s *Spec) { s.Config = []byte("nodisk.profile=nfs\n") }, []string{"nodisk.profile=nfs", "--profile"},
		},
		"config": {
			func(s *Spec) {
				s.CheckConfig = func(io.Reader) ([]string, error) { return nil, errors.New("ip=foo is wrong") }
			},
			[]string{"check config", "ip=foo is wrong"},
		},
		"init of another machine": {
			func(s *Spec) {
				s.Kernel = filepath.Join(t.TempDir(), "vmlinuz")
				buildtest.Write(t, s.Kernel, buildtest.BzImage(buildtest.Release))
				s.Init = func(context.Context, string) ([]byte, error) { return buildtest.ELFStub(183, ""), nil }
			}, []string{"arm64", "amd64"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec(t, root)
			out := s.Out
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
			if left, _ := os.ReadDir(filepath.Dir(out)); len(left) > 0 {
				t.Errorf("a failed build left %v", left)
			}
		})
	}
}

// What depmod has not written is made here, and says so.
func TestImageWithoutModulesDep(t *testing.T) {
	root := filepath.Join(t.TempDir(), "root")
	dir := filepath.Join(root, "lib", "modules", buildtest.Release)
	put := func(name string, m kotest.Module) {
		m.Vermagic = buildtest.Release + " SMP"
		buildtest.Write(t, filepath.Join(dir, name), m.Bytes())
	}
	put("kernel/drivers/net/nic.ko", kotest.Module{
		Name: "nic", Depends: "bus",
		Imports: []ko.Import{{Name: "bus_register"}},
	})
	put("kernel/drivers/bus/bus.ko", kotest.Module{Name: "bus", Exports: []ko.Symbol{{Name: "bus_register"}}})
	// A link as the node will see it: absolute, below the tree's root.
	put("../9.9.8/extra/late.ko", kotest.Module{Name: "late"})
	if err := os.Mkdir(filepath.Join(dir, "weak-updates"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/lib/modules/9.9.8/extra/late.ko", filepath.Join(dir, "weak-updates",
		"late.ko")); err != nil {
		t.Fatal(err)
	}
	s := testSpec(t, root)
	s.Release, s.Profiles, s.ExtraModules = buildtest.Release, []string{"ram"}, []string{"nic", "late"}
	report, err := Image(t.Context(), s, nil)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, m := range report.Modules {
		names = append(names, m.Name)
	}
	if slices.Sort(names); !slices.Equal(names, []string{"bus", "late", "nic"}) {
		t.Errorf("modules %v in the image, want bus, late and nic", names)
	}
	if !slices.ContainsFunc(report.Notes, func(n string) bool {
		return strings.Contains(n, "depmod -b "+root+" "+buildtest.Release)
	}) {
		t.Errorf("no note names depmod: %q", report.Notes)
	}
	if _, err := os.Stat(filepath.Join(dir, "modules.dep")); err == nil {
		t.Error("the tree was written to")
	}
}

// A build that ends early leaves the old image, and no half one.
func TestImageKeepsTheOldOne(t *testing.T) {
	s := testSpec(t, buildtest.Tree(t))
	buildtest.Write(t, s.Out, []byte("old"))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := Image(ctx, s, func(step string, _, _ int) {
		if step == stepCompress {
			cancel()
		}
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that of the context", err)
	}
	if data, _ := os.ReadFile(s.Out); string(data) != "old" {
		t.Errorf("the old image became %q", data)
	}
	if left, _ := os.ReadDir(filepath.Dir(s.Out)); len(left) != 1 {
		t.Errorf("left behind: %v", left)
	}
}

func TestForeignModule(t *testing.T) {
	root := buildtest.Tree(t)
	old := filepath.Join(root, "lib/modules", buildtest.Release, "kernel/drivers/net/dummy.ko")
	if err := os.Remove(old + ".gz"); err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, old, buildtest.ModuleStub("dummy", "5.0.0"))
	dep := filepath.Join(root, "lib/modules", buildtest.Release, "modules.dep")
	text, err := os.ReadFile(dep)
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, dep, bytes.ReplaceAll(text, []byte("dummy.ko.gz"), []byte("dummy.ko")))
	s := testSpec(t, root)
	s.ExtraModules = []string{"dummy"}
	_, err = Image(t.Context(), s, nil)
	want := "dummy (kernel/drivers/net/dummy.ko): it was built for 5.0.0, and has no symbol versions by which " +
		buildtest.Release + " could tell that it fits"
	if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--no-check") {
		t.Errorf("error %v lacks %q", err, want)
	}
	s.SkipCheck = true
	r, _ := makeImage(t, s)
	if len(r.Warnings) != 1 || !strings.HasPrefix(r.Warnings[0], want) {
		t.Errorf("warnings %q, want one that begins with %q", r.Warnings, want)
	}
}

// unpackImage writes the regular files of an image below dir.
func unpackImage(t *testing.T, image []byte, dir string) {
	t.Helper()
	files, _, err := ReadImage(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if f.Mode&initramfs.TypeMask == initramfs.TypeFile {
			buildtest.Write(t, filepath.Join(dir, filepath.FromSlash(f.Name)), f.Data)
		}
	}
}

// With a real kernel: every module of the image resolves inside of the image,
// and depmod finds the same dependencies there.
func TestReducedIndexes(t *testing.T) {
	kernel := buildtest.KernelDir(t)
	depmod := buildtest.Tool(t, "depmod")
	s := testSpec(t, kernel)
	s.Kernel, s.Compress = filepath.Join(kernel, "vmlinuz"), compress.None
	s.Profiles = []string{"eth", "bond", "vlan", "ib", "mlx4", "mlx5", "en", "iscsi", "nfs", "ext4", "xfs", "btrfs"}
	r, image := makeImage(t, s)
	dir := t.TempDir()
	unpackImage(t, image, dir)

	x, err := modload.Open(os.DirFS(dir), r.Release)
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for name, file := range x.Files() {
		count++
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Errorf("modules.dep lists %s: %v", name, err)
		}
		mods, err := x.Resolve(name)
		if err != nil {
			t.Errorf("resolve %s: %v", name, err)
		}
		for _, m := range mods {
			if !x.Has(m.Name) {
				t.Errorf("%s leads to %s, which is not inside", name, m.Name)
			}
		}
	}
	if count != len(r.Modules) {
		t.Errorf("modules.dep lists %d modules, the image has %d", count, len(r.Modules))
	}

	indexes := filepath.Join(dir, "lib", "modules", r.Release)
	edges := readEdges(t, filepath.Join(indexes, "modules.dep"))
	alias, err := os.ReadFile(filepath.Join(indexes, "modules.alias"))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), depmod, "-b", dir, r.Release).CombinedOutput(); err != nil {
		t.Fatalf("depmod: %v: %s", err, out)
	}
	if diff := cmp.Diff(readEdges(t, filepath.Join(indexes, "modules.dep")), edges); diff != "" {
		t.Errorf("modules.dep (-depmod +image):\n%s", diff)
	}
	again, err := os.ReadFile(filepath.Join(indexes, "modules.alias"))
	if err != nil {
		t.Fatal(err)
	}
	clean := func(text []byte) []string {
		return namelist.Sorted(slices.DeleteFunc(strings.Split(string(text), "\n"),
			func(line string) bool { return strings.HasPrefix(line, "#") }))
	}
	if diff := cmp.Diff(clean(again), clean(alias)); diff != "" {
		t.Errorf("modules.alias (-depmod +image):\n%s", diff)
	}
}

// readEdges reads modules.dep as module -> sorted needs.
func readEdges(t *testing.T, at string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	edges := make(map[string][]string)
	for line := range strings.Lines(string(text)) {
		module, needs, _ := strings.Cut(line, ":")
		edges[module] = namelist.Sorted(strings.Fields(needs))
	}
	return edges
}

// Whatever profile brings the network, what its sockets need is in the image.
func TestImageSockets(t *testing.T) {
	root := buildtest.Tree(t)
	dir := filepath.Join(root, "lib", "modules", buildtest.Release)
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, filepath.Join(dir, "modules.dep"), append(dep, "kernel/net/packet/af_packet.ko:\n"...))
	buildtest.Write(t, filepath.Join(dir, "kernel/net/packet/af_packet.ko"), buildtest.ModuleStub("af_packet", buildtest.Release))
	_, data := makeImage(t, testSpec(t, root))
	c, err := initramfs.Inspect(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	if err := c.WriteText(&text, true); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), "net/packet/af_packet.ko") {
		t.Errorf("af_packet is not in the image:\n%s", text.String())
	}
	for _, p := range modload.Profiles() {
		network := slices.Contains(strings.Fields("virt e1000 eth bond vlan bridge ibft ib mlx4 mlx5 opa en"), p.Name)
		if slices.Contains(p.Maybe, "af_packet") != network || slices.Contains(p.Maybe, "ipv6") != network {
			t.Errorf("profile %s: a network, %v; takes %v", p.Name, network, p.Maybe)
		}
	}
}

// A root in RAM finds the modules of the image by its own tools, which read kmod's indexes only.
func TestImageInRAMForModprobe(t *testing.T) {
	modinfo := buildtest.Tool(t, "modinfo")
	s := testSpec(t, buildtest.Tree(t))
	s.Profiles, s.ExtraModules = append(s.Profiles, "ram"), []string{"dummy"}
	_, image := makeImage(t, s)
	files, _, err := ReadImage(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, f := range files {
		if f.Mode&initramfs.TypeMask == initramfs.TypeFile && strings.HasPrefix(f.Name, initramfs.ModulesDir) {
			buildtest.Write(t, filepath.Join(root, f.Name), f.Data)
		}
	}
	for name, want := range map[string]string{
		"dummy": "kernel/drivers/net/dummy.ko", "rtnl-link-dummy": "kernel/drivers/net/dummy.ko",
		"pci:v1af4d1": "kernel/drivers/virtio/virtio_pci.ko",
		"loop":        "(builtin)", "block-major-7-0": "(builtin)",
	} {
		out, err := exec.CommandContext(t.Context(), modinfo, "-b", root, "-k", buildtest.Release, "-F", "filename",
			name).CombinedOutput()
		if err != nil || !strings.HasSuffix(strings.TrimSpace(string(out)), want) {
			t.Errorf("modinfo %s: %v, %q; want %s", name, err, out, want)
		}
	}
	if _, image := makeImage(t, testSpec(t, buildtest.Tree(t))); bytes.Contains(image, []byte("modules.dep.bin")) {
		t.Error("kmod's indexes are in an image that is not a root")
	}
}
