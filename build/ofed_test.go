package build

import (
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/depmod"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
	"github.com/nodisk/nodisk/modload"
)

// A stackModule is a module of an RDMA stack: where it lies below kernel/ or below its
// package's directory, and which modules it uses.
type stackModule struct{ name, dir, uses, alias string }

const (
	aliasMLX5 = "pci:v000015B3d0000101Bsv*sd*bc*sc*i*"
	aliasQIB  = "pci:v00001077d00007322sv*sd*bc*sc*i*"
)

// inbox is the stack of Linux, as far as profiles want it.
func inbox() []stackModule {
	return []stackModule{
		{"psample", "net/psample", "", ""},
		{"mlxfw", "drivers/net/ethernet/mellanox/mlxfw", "", ""},
		{"mlx5_core", "drivers/net/ethernet/mellanox/mlx5/core", "mlxfw psample", aliasMLX5},
		{"ib_core", "drivers/infiniband/core", "", ""},
		{"ib_cm", "drivers/infiniband/core", "ib_core", ""},
		{"ib_uverbs", "drivers/infiniband/core", "ib_core", ""},
		{"mlx5_ib", "drivers/infiniband/hw/mlx5", "mlx5_core ib_core ib_uverbs", ""},
		{"rdmavt", "drivers/infiniband/sw/rdmavt", "ib_core", ""},
		{"ib_qib", "drivers/infiniband/hw/qib", "ib_core rdmavt dca", aliasQIB},
		{"ib_mthca", "drivers/infiniband/hw/mthca", "ib_core ib_uverbs", ""},
		{"hfi1", "drivers/infiniband/hw/hfi1", "rdmavt", ""},
		{"dca", "drivers/dca", "", ""},
		{"ib_ipoib", "drivers/infiniband/ulp/ipoib", "ib_core ib_cm", ""},
	}
}

// vendor is the stack of MLNX_OFED, DOCA's as well: each module uses mlx_compat, psample is the
// kernel's, and there is no driver for adapters of others.
func vendor() []stackModule {
	return []stackModule{
		{"mlx_compat", "compat", "", ""},
		{"mlxfw", "drivers/net/ethernet/mellanox/mlxfw", "mlx_compat", ""},
		{"mlxdevm", "net/mlxdevm", "mlx_compat", ""},
		{"mlx5_core", "drivers/net/ethernet/mellanox/mlx5/core", "mlx_compat mlxfw mlxdevm psample", aliasMLX5},
		{"ib_core", "drivers/infiniband/core", "mlx_compat", ""},
		{"ib_cm", "drivers/infiniband/core", "mlx_compat ib_core", ""},
		{"ib_uverbs", "drivers/infiniband/core", "mlx_compat ib_core", ""},
		{"mlx5_ib", "drivers/infiniband/hw/mlx5", "mlx_compat mlx5_core ib_core ib_uverbs", ""},
		{"ib_ipoib", "drivers/infiniband/ulp/ipoib", "mlx_compat ib_core ib_cm", ""},
	}
}

// layouts are where packages of the vendor put their modules.
func layouts() map[string]func(m stackModule) string {
	return map[string]func(m stackModule) string{
		"RHEL":   func(m stackModule) string { return path.Join("extra/mlnx-ofa_kernel", m.dir, m.name+".ko") },
		"Debian": func(m stackModule) string { return path.Join("updates/dkms", m.name+".ko") },
	}
}

// ofedTree makes a root with both stacks. Whatever a module exports has another version in the
// stack of the vendor; without leaves modules of that one away. The indexes are depmod's.
func ofedTree(t *testing.T, at func(stackModule) string, without ...string) string {
	t.Helper()
	root := t.TempDir()
	dir := filepath.Join(root, initramfs.ModulesDir, buildtest.Release)
	symbol := func(name string, of uint32) ko.Symbol {
		return ko.Symbol{
			Name: name + "_register", CRC: of + uint32(len(name)), HasCRC: true,
			GPL: true,
		} //nolint:gosec // a name
	}
	const linux, vendors = 0x1000, 0x2000
	put := func(name string, m stackModule, crcs func(name string) uint32) {
		file := kotest.Module{
			Name: m.name, Vermagic: buildtest.Release + " SMP mod_unload modversions ",
			OutOfTree: !strings.HasPrefix(name, "kernel/"),
			Info:      []ko.Field{{Key: "license", Value: "Dual BSD/GPL"}},
			Depends:   strings.ReplaceAll(m.uses, " ", ","), Exports: []ko.Symbol{symbol(m.name, crcs(m.name))},
		}
		if m.alias != "" {
			file.Info = append(file.Info, ko.Field{Key: "alias", Value: m.alias})
		}
		for use := range strings.FieldsSeq(m.uses) {
			s := symbol(use, crcs(use))
			file.Imports = append(file.Imports, ko.Import{Name: s.Name, CRC: s.CRC, HasCRC: true})
		}
		buildtest.Write(t, filepath.Join(dir, name), file.Bytes())
	}
	for _, m := range inbox() {
		put(path.Join("kernel", m.dir, m.name+".ko"), m, func(string) uint32 { return linux })
	}
	for _, m := range vendor() {
		if slices.Contains(without, m.name) {
			continue
		}
		put(at(m), m, func(name string) uint32 {
			if name == "psample" {
				return linux
			}
			return vendors
		})
	}
	// As RHEL has it. The search order of kmod has no extra.
	buildtest.Write(t, filepath.Join(root, "usr/lib/depmod.d/dist.conf"), []byte("search updates extra built-in weak-updates\n"))
	buildtest.Write(t, filepath.Join(dir, "modules.builtin"), nil)
	buildtest.Write(t, filepath.Join(dir, "modules.order"), nil)
	fsys := depmod.Tree(dir, buildtest.Release)
	conf, err := depmod.ReadConfig(fsys)
	if err != nil {
		t.Fatal(err)
	}
	x, err := depmod.Run(fsys, buildtest.Release, conf)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range x.Texts() {
		buildtest.Write(t, filepath.Join(dir, name), text)
	}
	return root
}

// ofedSpec makes an image of the tree.
func ofedSpec(t *testing.T, root, profiles string) Spec {
	t.Helper()
	s := testSpec(t, root)
	s.Release, s.Profiles, s.Compress = buildtest.Release, strings.Split(profiles, ","), compress.None
	return s
}

// The vendor's modules go into an image, with what they need and nothing from the kernel's own stack
// beside them, and are loaded in order by the device of the adapter.
func TestOFED(t *testing.T) {
	for name, at := range layouts() {
		t.Run(name, func(t *testing.T) {
			s := ofedSpec(t, ofedTree(t, at), "mlx5")
			conf := filepath.Join(t.TempDir(), "ipoib.conf")
			buildtest.Write(t, conf, []byte("options ib_ipoib ipoib_enhanced=0\n"))
			s.Modprobe = []string{conf}
			r, data := makeImage(t, s)
			if len(r.Warnings) != 0 {
				t.Errorf("warnings %q", r.Warnings)
			}
			dir := t.TempDir()
			unpackImage(t, data, dir)
			x, err := modload.Open(os.DirFS(dir), buildtest.Release)
			if err != nil {
				t.Fatal(err)
			}
			if got := modload.ReadConf(os.DirFS(dir)).Params.For("ib_ipoib"); got != "ipoib_enhanced=0" {
				t.Errorf("ib_ipoib gets the parameters %q", got)
			}
			mods, err := x.Resolve(x.Match("pci:v000015B3d0000101Bsv000015B3sd00000001bc02sc07i00")...)
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]string{"psample": path.Join(initramfs.ModulesDir, buildtest.Release, "kernel/net/psample/psample.ko")}
			for _, m := range vendor() {
				want[m.name] = path.Join(initramfs.ModulesDir, buildtest.Release, at(m))
			}
			loaded := make(map[string]bool)
			for _, m := range mods {
				if m.Path != want[m.Name] {
					t.Errorf("%s is %s, want %s", m.Name, m.Path, want[m.Name])
				}
				for _, v := range vendor() {
					for use := range strings.FieldsSeq(v.uses) {
						if v.name == m.Name && !loaded[use] {
							t.Errorf("%s is loaded before %s, which it uses", m.Name, use)
						}
					}
				}
				loaded[m.Name] = true
			}
			for name := range want {
				if !loaded[name] {
					t.Errorf("%s is not loaded", name)
				}
			}
			if mods[len(mods)-1].Name != "ib_ipoib" {
				t.Errorf("%s is the last, want ib_ipoib", mods[len(mods)-1].Name)
			}
			if len(r.Modules) != len(want) {
				t.Errorf("modules %v in the image, want those of %v", r.Modules, want)
			}
		})
	}
}

// With the list of a node's hardware the image has what its adapter needs, wherever the vendor's
// package puts it, and not the kernel's drivers for adapters of others, which no longer fit.
func TestOFEDInventory(t *testing.T) {
	for name, at := range layouts() {
		t.Run(name, func(t *testing.T) {
			s := ofedSpec(t, ofedTree(t, at), "ib")
			v, err := inventory.Parse("node", strings.NewReader("01:00.0 0207: 15b3:101b\n"))
			if err != nil {
				t.Fatal(err)
			}
			s.Inventories = []inventory.List{v}
			r, _ := makeImage(t, s)
			have := make(map[string]bool)
			for _, m := range r.Modules {
				have[m.Name] = true
			}
			for name, want := range map[string]bool{
				"mlx5_core": true, "mlx5_ib": true, "ib_ipoib": true,
				"mlx_compat": true, "ib_qib": false,
			} {
				if have[name] != want {
					t.Errorf("%s in the image: %v, want %v", name, have[name], want)
				}
			}
		})
	}
}

// What a profile merely offers and does not go with the vendor's modules is left out, with what it
// alone needs, and told in one line.
func TestOFEDLeftOut(t *testing.T) {
	for name, at := range layouts() {
		t.Run(name, func(t *testing.T) {
			r, data := makeImage(t, ofedSpec(t, ofedTree(t, at), "ib,mlx5"))
			if len(r.Warnings) != 0 {
				t.Errorf("warnings %q", r.Warnings)
			}
			const want = "left out: ib_mthca, ib_qib, rdmavt: the kernel's own, which do not go with the ib_core, " +
				"ib_uverbs of "
			told := slices.DeleteFunc(slices.Clone(r.Notes),
				func(note string) bool { return !strings.HasPrefix(note, want) })
			if len(told) != 1 {
				t.Errorf("notes %q, want one that begins %q", r.Notes, want)
			}
			dir := t.TempDir()
			unpackImage(t, data, dir)
			x, err := modload.Open(os.DirFS(dir), buildtest.Release)
			if err != nil {
				t.Fatal(err)
			}
			for name, want := range map[string]bool{
				"mlx5_core": true, "mlx5_ib": true, "ib_ipoib": true, "mlx_compat": true, "ib_core": true,
				"ib_qib": false, "ib_mthca": false, "rdmavt": false, "dca": false,
			} {
				if x.Has(name) != want {
					t.Errorf("the image's index has %s: %v, want %v", name, !want, want)
				}
				if in := slices.Contains(moduleNames(r), name); in != want {
					t.Errorf("%s in the image: %v, want %v", name, in, want)
				}
			}
		})
	}
}

// A symbol that only the file has that the vendor's stands before is told so, as nodisk check does.
func TestOFEDShadowed(t *testing.T) {
	root := ofedTree(t, layouts()["Debian"])
	for at, m := range map[string]kotest.Module{
		"kernel/drivers/infiniband/core/ib_core.ko": {Name: "ib_core", Exports: []ko.Symbol{{
			Name: "ib_old",
			CRC:  9, HasCRC: true,
		}}},
		"kernel/drivers/infiniband/hw/qib/ib_qib.ko": {
			Name: "ib_qib", Imports: []ko.Import{{Name: "ib_old", CRC: 9, HasCRC: true}},
			Info: []ko.Field{{Key: "alias", Value: aliasQIB}},
		},
	} {
		m.Vermagic = buildtest.Release + " SMP mod_unload modversions "
		m.Info = append(m.Info, ko.Field{Key: "license", Value: "GPL"})
		buildtest.Write(t, filepath.Join(root, initramfs.ModulesDir, buildtest.Release, at), m.Bytes())
	}
	s := ofedSpec(t, root, "ib")
	s.ExtraModules = []string{"ib_qib"} // asked for, not only offered
	_, err := Image(t.Context(), s, nil)
	const want = "ib_qib (kernel/drivers/infiniband/hw/qib/ib_qib.ko): nothing exports ib_old; " +
		"kernel/drivers/infiniband/core/ib_core.ko has it, " +
		"but another ib_core is loaded, updates/dkms/ib_core.ko: take all modules that use each other of one " +
		"package, or the inbox drivers: leave updates/dkms out"
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v\nlacks %q", err, want)
	}
}

// A driver that a device of a node asks for, or that a profile has no other than, is refused.
func TestOFEDRequired(t *testing.T) {
	root := ofedTree(t, layouts()["Debian"])
	for name, tt := range map[string]struct {
		profiles, inventory, want string
	}{
		"by a device": {"ib", "01:00.0 0c06: 1077:7322\n", "ib_qib (kernel/drivers/infiniband/hw/qib/ib_qib.ko): " +
			"disagrees about version"},
		"the one driver": {"opa", "", "rdmavt (kernel/drivers/infiniband/sw/rdmavt/rdmavt.ko): disagrees " +
			"about version"},
	} {
		t.Run(name, func(t *testing.T) {
			s := ofedSpec(t, root, tt.profiles)
			if tt.inventory != "" {
				v, err := inventory.Parse("node", strings.NewReader(tt.inventory))
				if err != nil {
					t.Fatal(err)
				}
				s.Inventories = []inventory.List{v}
			}
			_, err := Image(t.Context(), s, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v\nlacks %q", err, tt.want)
			}
		})
	}
}

// Modules of both stacks in one image are refused, and the sentence says which does not go with which.
func TestOFEDMixed(t *testing.T) {
	at := layouts()["Debian"]
	for name, tt := range map[string]struct {
		profiles, without string
		want              string
		module            string // asked for by name
	}{
		"vendor's without mlx5_ib": {
			profiles: "mlx5", without: "mlx5_ib", want: "mlx5_ib (kernel/drivers/infiniband/hw/mlx5/mlx5_ib.ko): " +
				"disagrees about version of symbol mlx5_core_register " +
				"(it wants 0x00001009, mlx5_core has 0x00002009): it was built with the kernel's own mlx5_core, but " +
				"modprobe loads updates/dkms/mlx5_core.ko",
		},
		"vendor's without ib_core": {
			profiles: "mlx5", without: "ib_core", want: "ib_cm (updates/dkms/ib_cm.ko): disagrees about version of " +
				"symbol ib_core_register " +
				"(it wants 0x00002007, ib_core has 0x00001007): it was built with another ib_core, but modprobe " +
				"loads kernel/drivers/infiniband/core/ib_core.ko",
		},
		"kernel's ib_ipoib": {
			profiles: "mlx5", without: "ib_ipoib",
			want: "ib_ipoib (kernel/drivers/infiniband/ulp/ipoib/ib_ipoib.ko): disagrees about version of symbol " +
				"ib_cm_register",
		},
		"kernel's driver for others": {
			profiles: "ib", module: "ib_qib", want: "ib_qib (kernel/drivers/infiniband/hw/qib/ib_qib.ko): disagrees " +
				"about version of symbol ib_core_register " +
				"(it wants 0x00001007, ib_core has 0x00002007): it was built with the kernel's own ib_core, but " +
				"modprobe loads updates/dkms/ib_core.ko: " +
				"take all modules that use each other of one package, or the inbox drivers: leave updates/dkms out",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := ofedSpec(t, ofedTree(t, at, tt.without), tt.profiles)
			if tt.module != "" {
				s.ExtraModules = []string{tt.module}
			}
			_, err := Image(t.Context(), s, nil)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v\nlacks %q", err, tt.want)
			}
		})
	}
}
