package build

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/modtree"
)

const (
	infiniband = "kernel/drivers/infiniband/core/"
	mlx5       = "kernel/drivers/net/ethernet/mellanox/mlx5/core/mlx5_core.ko"
)

// The whole tree of a distribution: no false alarm, whether the kernel itself tells
// its symbols or only its modules do. Not even a note: the kernel was unpacked.
func TestCheckDistribution(t *testing.T) {
	dir := buildtest.KernelDir(t)
	for _, kernel := range []string{filepath.Join(dir, "vmlinuz"), ""} {
		reports, err := Check(t.Context(), CheckSpec{Kernel: kernel, Modules: dir})
		if err != nil {
			t.Fatal(err)
		}
		if r := reports[0]; len(r.Findings) != 0 || r.Modules < 1000 || r.OutOfTree != 0 {
			t.Errorf("kernel %q: %d modules, %d out of tree, findings %v", kernel, r.Modules, r.OutOfTree, r.Findings)
		}
	}
}

// One fault after the other is planted among real modules, and found alone.
func TestPlantedFaults(t *testing.T) {
	l := newLab(t, "rdma_cm", "mlx5_core", "ext4")
	expect(t, l.check(t))
	other := another(l.release)
	for name, tt := range map[string]struct {
		path  string
		spoil func(t *testing.T, data []byte) []byte
		from  string // another path
		want  []string
	}{
		"version of the kernel's": {path: mlx5, spoil: func(t *testing.T, data []byte) []byte {
			return flipVersion(t, data, "pci_enable_device")
		}, want: []string{
			"fault: mlx5_core (" + mlx5 + "): disagrees about version of symbol pci_enable_device (it wants 0x",
		}},
		"version of a module's": {
			path:  infiniband + "rdma_cm.ko",
			spoil: func(t *testing.T, data []byte) []byte { return flipVersion(t, data, "ib_destroy_qp_user") },
			want: []string{
				"fault: rdma_cm (" + infiniband + "rdma_cm.ko): disagrees about version of symbol " +
					"ib_destroy_qp_user (it wants 0x",
			},
		},
		"struct module": {path: mlx5, spoil: func(t *testing.T, data []byte) []byte {
			return flipVersion(t, data, "module_layout")
		}, want: []string{
			"fault: mlx5_core (" + mlx5 + "): disagrees about version of symbol module_layout (it wants 0x",
		}},
		"flags": {path: mlx5, spoil: func(_ *testing.T, data []byte) []byte {
			return bytes.Replace(data, []byte(" SMP preempt mod_unload "), []byte(" SMP preemqt mod_unload "), 1)
		}, want: []string{"fault: mlx5_core (" + mlx5 + "): version magic "}},
		"cut off": {
			path: mlx5, spoil: func(_ *testing.T, data []byte) []byte { return data[:len(data)/2] },
			want: []string{
				"fault: mlx5_core (" + mlx5 + "): read kernel module: ",
			},
		},
		"missing symbol": {path: mlx5, spoil: func(_ *testing.T, data []byte) []byte {
			return bytes.ReplaceAll(data, []byte("\x00pci_enable_device\x00"), []byte("\x00pci_enable_dEvice\x00"))
		}, want: []string{"fault: mlx5_core (" + mlx5 + "): nothing exports pci_enable_dEvice"}},
		"licence": {path: mlx5, spoil: func(_ *testing.T, data []byte) []byte {
			return bytes.Replace(data, []byte("license=Dual BSD/GPL"), []byte("license=Proprietary\x00"), 1)
		}, want: slices.Repeat([]string{`fault: mlx5_core (` + mlx5 + `): its licence is "Proprietary", but `}, 3)},
		"extra of another release, same versions": {
			path: "extra/mlx5_core.ko", from: mlx5,
			spoil: func(_ *testing.T, data []byte) []byte {
				return otherRelease(data, l.release)
			},
		},
		"MLNX_OFED of another kernel": {
			path: "updates/dkms/mlx5_core.ko", from: mlx5,
			spoil: func(t *testing.T, data []byte) []byte {
				return flipVersion(t, otherRelease(data, l.release), "pci_enable_device")
			}, want: []string{
				"fault: mlx5_core (updates/dkms/mlx5_core.ko): built for " + other + ", disagrees about version of " +
					"symbol pci_enable_device (it wants 0x",
			},
		},
		// Those of the kernel were built with the kernel's own.
		"ib_core of MLNX_OFED": {
			path: "updates/dkms/ib_core.ko", from: infiniband + "ib_core.ko",
			spoil: flipExports, want: []string{
				"fault: ib_cm (" + infiniband + "ib_cm.ko): disagrees about version of symbol ",
				"fault: iw_cm (" + infiniband + "iw_cm.ko): disagrees about version of symbol ",
				"fault: rdma_cm (" + infiniband + "rdma_cm.ko): disagrees about version of symbol ",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			from := tt.from
			if from == "" {
				from = tt.path
			}
			good := l.real(t, from)
			bad := tt.spoil(t, good)
			if bytes.Equal(good, bad) {
				t.Fatal("nothing was changed")
			}
			l.put(t, tt.path, bad)
			got := l.check(t)
			expect(t, got, tt.want...)
			if tt.from == "" {
				l.put(t, tt.path, good)
			} else if err := os.Remove(filepath.Join(l.root, initramfs.ModulesDir, l.release, tt.path)); err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(tt.path, "updates/dkms/ib_core") && !strings.Contains(strings.Join(got, ""),
				"it was built with the kernel's own ib_core, but modprobe loads updates/dkms/ib_core.ko") {
				t.Errorf("not explained: %q", got)
			}
		})
	}
}

// Links of weak-updates lead below the root that was given, not that of this
// machine.
func TestWeakUpdates(t *testing.T) {
	l := newLab(t, "mlx5_core")
	other := another(l.release)
	if err := os.Remove(filepath.Join(l.root, initramfs.ModulesDir, l.release, mlx5)); err != nil {
		t.Fatal(err)
	}
	extra := initramfs.ModulesDir + "/" + other + "/extra/mlx5_core.ko"
	link := filepath.Join(l.root, initramfs.ModulesDir, l.release, "weak-updates", "mlx5_core.ko")
	buildtest.Write(t, filepath.Join(l.root, extra), otherRelease(l.real(t, mlx5), l.release))
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("/"+extra, link); err != nil {
		t.Fatal(err)
	}
	// depmod would look for the link's target on this machine.
	l.put(t, "modules.dep", nil)
	list := func() []string {
		return slices.DeleteFunc(l.findings(t, CheckSpec{Kernel: l.kernel, Modules: l.root}),
			func(s string) bool { return strings.Contains(s, "modules.dep") })
	}
	expect(t, list())

	buildtest.Write(t, filepath.Join(l.root, extra), flipVersion(t, otherRelease(l.real(t, mlx5), l.release),
		"pci_enable_device"))
	expect(t, list(), "fault: mlx5_core (weak-updates/mlx5_core.ko): built for "+other+", disagrees about version of "+
		"symbol pci_enable_device (it wants 0x")

	if err := os.Remove(filepath.Join(l.root, extra)); err != nil {
		t.Fatal(err)
	}
	expect(t, list(), "warning: mlx5_core (weak-updates/mlx5_core.ko): it is a link to /"+extra+", which is not there")
}

// Modules of another real kernel. What modprobe says of their versions decides
// what is right.
func TestMixedKernels(t *testing.T) {
	l := newLab(t, "mlx5_core", "rdma_cm", "ext4")
	foreign := otherKernelDir(t)
	k, err := kernel.Open(t.Context(), filepath.Join(foreign, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	layout := func(file string) string {
		out, err := exec.CommandContext(t.Context(), buildtest.Tool(t, "modprobe"), "--dump-modversions", file).Output()
		if err != nil {
			t.Fatalf("modprobe: %v", err)
		}
		for line := range strings.Lines(string(out)) {
			if words := strings.Fields(line); len(words) == 2 && words[1] == "module_layout" {
				return words[0]
			}
		}
		t.Fatalf("%s has no version of module_layout", file)
		return ""
	}
	theirs := filepath.Join(foreign, initramfs.ModulesDir, k.Release, mlx5)
	differs := layout(theirs) != layout(filepath.Join(l.source, mlx5))
	data, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	l.put(t, "updates/mlnx/mlx5_core.ko", data)
	got := l.check(t)
	if !differs {
		t.Logf("%s and %s have the same versions", k.Release, l.release)
		expect(t, got)
		return
	}
	if len(got) == 0 || !strings.HasPrefix(got[0], "fault: mlx5_core (updates/mlnx/mlx5_core.ko): built for "+k.Release+
		", disagrees about version of symbol ") {
		t.Fatalf("findings %q", got)
	}
	for _, f := range got {
		if !strings.HasPrefix(f, "fault: mlx5_core (updates/mlnx/") {
			t.Errorf("%q is about another", f)
		}
	}

	// nodisk build refuses it, unless it is told otherwise.
	s := testSpec(t, l.root)
	s.Kernel, s.Profiles, s.ExtraModules, s.Compress = l.kernel, []string{"ext4"}, []string{"mlx5_core"}, compress.None
	_, err = Image(t.Context(), s, nil)
	for _, want := range []string{
		"would refuse", "mlx5_core (updates/mlnx/mlx5_core.ko): built for " + k.Release,
		"add-kernel-support", "leave updates/mlnx out", "--no-check",
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	s.SkipCheck = true
	r, _ := makeImage(t, s)
	if !slices.ContainsFunc(r.Warnings, func(w string) bool {
		return strings.HasPrefix(w, "mlx5_core (updates/mlnx/mlx5_core.ko): built for ")
	}) {
		t.Errorf("warnings %q", r.Warnings)
	}
	// The image that was made all the same is found bad, too.
	got = l.findings(t, CheckSpec{Kernel: l.kernel, Image: s.Out})
	if len(got) == 0 || !strings.HasPrefix(got[0], "fault: mlx5_core (updates/mlnx/mlx5_core.ko): built for ") {
		t.Errorf("image: %q", got)
	}
	// And all of it on the other kernel.
	got = l.findings(t, CheckSpec{Kernel: likeness(t, filepath.Join(foreign, "vmlinuz"), k), Image: s.Out})
	if !slices.ContainsFunc(got, func(f string) bool {
		return strings.Contains(f, "of Linux "+l.release+", which "+k.Release+" does not look at")
	}) {
		t.Errorf("image on the other kernel: %q", got)
	}
}

// An image whose modules.dep names what is not inside.
func TestCheckImage(t *testing.T) {
	l := newLab(t, "ext4")
	l.depmod(t)
	dir := initramfs.ModulesDir + "/" + l.release + "/"
	var files []initramfs.Entry
	dep, err := os.ReadFile(filepath.Join(l.root, dir, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"usr", "usr/lib", "usr/" + initramfs.ModulesDir, "usr/" + initramfs.ModulesDir + "/" + l.release} {
		files = append(files, initramfs.Entry{Name: name, Mode: initramfs.TypeDir | 0o755})
	}
	files = append(files, initramfs.Entry{Name: "lib", Mode: initramfs.TypeLink | 0o777, Data: []byte("usr/lib")},
		initramfs.Entry{Name: dir + "modules.dep", Mode: initramfs.TypeFile | 0o644, Data: dep})
	made := make(map[string]bool)
	for line := range strings.Lines(string(dep)) {
		path, _, _ := strings.Cut(line, ":")
		words := strings.Split(path, "/")
		for i := range len(words) - 1 {
			if above := "usr/" + dir + strings.Join(words[:i+1], "/"); !made[above] {
				made[above] = true
				files = append(files, initramfs.Entry{Name: above, Mode: initramfs.TypeDir | 0o755})
			}
		}
		files = append(files, initramfs.Entry{Name: "usr/" + dir + path, Mode: initramfs.TypeFile | 0o644, Data: l.real(t, path)})
	}
	at := filepath.Join(t.TempDir(), "img")
	buildtest.Write(t, at, imageOf(t, files...))
	s := CheckSpec{Kernel: l.kernel, Image: at}
	expect(t, l.findings(t, s))

	files = slices.DeleteFunc(files, func(f initramfs.Entry) bool { return strings.HasSuffix(f.Name, "/mbcache.ko") })
	buildtest.Write(t, at, imageOf(t, files...))
	expect(t, l.findings(t, s),
		"fault: ext4 (kernel/fs/ext4/ext4.ko): nothing exports mb_cache_",
		"fault: ext4 (kernel/fs/ext4/ext4.ko): it needs kernel/fs/mbcache.ko, which is not there",
		"fault: mbcache (kernel/fs/mbcache.ko): modules.dep lists it, but the file is not there")
}

// A stale modules.dep, and none at all.
func TestCheckStale(t *testing.T) {
	l := newLab(t, "ext4")
	l.depmod(t)
	l.put(t, "kernel/drivers/new.ko", l.real(t, "kernel/fs/mbcache.ko"))
	s := CheckSpec{Kernel: l.kernel, Modules: l.root}
	got := l.findings(t, s)
	if !slices.ContainsFunc(got, func(f string) bool {
		return strings.HasPrefix(f, "warning: new: modules.dep lacks kernel/drivers/new.ko")
	}) {
		t.Errorf("%q", got)
	}
	if err := os.Remove(filepath.Join(l.root, initramfs.ModulesDir, l.release, "kernel/drivers/new.ko")); err != nil {
		t.Fatal(err)
	}
	at := filepath.Join(l.root, initramfs.ModulesDir, l.release, "kernel/fs/mbcache.ko")
	if err := os.Remove(at); err != nil {
		t.Fatal(err)
	}
	expect(t, l.findings(t, s),
		"fault: ext4 (kernel/fs/ext4/ext4.ko): nothing exports mb_cache_",
		"fault: ext4 (kernel/fs/ext4/ext4.ko): it needs kernel/fs/mbcache.ko, which is not there",
		"fault: mbcache (kernel/fs/mbcache.ko): modules.dep lists it, but the file is not there")
	l.put(t, "kernel/fs/mbcache.ko", l.real(t, "kernel/fs/mbcache.ko"))
	if err := os.Remove(filepath.Join(l.root, initramfs.ModulesDir, l.release, "modules.dep")); err != nil {
		t.Fatal(err)
	}
	expect(t, l.findings(t, s), "warning: "+filepath.Join(l.root, initramfs.ModulesDir, l.release)+" has no modules.dep")
}

// What came with the kernel does not have the kernel unpacked.
func TestForeignModules(t *testing.T) {
	l := newLab(t, "ext4")
	files := []initramfs.Entry{{
		Name: initramfs.ModulesDir + "/" + l.release + "/kernel/fs/mbcache.ko",
		Data: l.real(t, "kernel/fs/mbcache.ko"), Part: initramfs.PartModules,
	}}
	mods, err := parseModules(t.Context(), modtree.Dir{Release: l.release}, files)
	if err != nil || foreignModules(mods, l.release) != 0 {
		t.Errorf("%d foreign, %v", foreignModules(mods, l.release), err)
	}
	files[0].Data = otherRelease(files[0].Data, l.release)
	mods, err = parseModules(t.Context(), modtree.Dir{Release: l.release}, files)
	if err != nil || foreignModules(mods, l.release) != 1 || mods[0].Err != nil {
		t.Errorf("%d foreign, %v", foreignModules(mods, l.release), err)
	}
	if r := abi.Check(abi.Kernel{Release: l.release}, mods, abi.Config{}); r.Modules != 1 {
		t.Errorf("%+v", r)
	}
}
