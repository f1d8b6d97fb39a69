package abi

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

const (
	release = "6.9.1-test"
	magic   = release + " SMP preempt mod_unload modversions "
	older   = "6.9.0-test SMP preempt mod_unload modversions "
)

// The kernel's own symbols.
func exported() []ko.Symbol {
	return []ko.Symbol{
		{Name: layout, CRC: 0x11, HasCRC: true},
		{Name: "printk", CRC: 0x22, HasCRC: true},
		{Name: "kobject_add", CRC: 0x33, HasCRC: true, GPL: true},
		{Name: "dma_buf_get", CRC: 0x44, HasCRC: true, Namespace: "DMA_BUF"},
		{Name: "kvm_internal", CRC: 0x55, HasCRC: true, Namespace: "module:kvm-amd,test_*"},
	}
}

func testKernel() Kernel {
	return Kernel{Release: release, Arch: "amd64", Vermagic: magic, Exports: exported()}
}

// wants are imports of the kernel with the CRCs it has, or others.
func wants(list ...ko.Import) []ko.Import {
	return append([]ko.Import{{Name: layout, CRC: 0x11, HasCRC: true}, {Name: "printk", CRC: 0x22, HasCRC: true}},
		list...)
}

func licensed(licence string, more ...ko.Field) []ko.Field {
	return append([]ko.Field{{Key: "license", Value: licence}}, more...)
}

func crc(name string, value uint32) ko.Import { return ko.Import{Name: name, CRC: value, HasCRC: true} }

// module makes a file by its path, of a module that the kernel takes; change
// spoils it.
func module(t testing.TB, path string, change func(*kotest.Module)) File {
	t.Helper()
	m := kotest.Module{Name: nameOf(path), Vermagic: magic, Info: licensed("GPL"), Imports: wants(),
		OutOfTree: !strings.HasPrefix(path, "kernel/")}
	if change != nil {
		change(&m)
	}
	parsed, err := ko.Parse(m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	return File{Path: path, Module: parsed}
}

func texts(r Report) []string {
	var list []string
	for _, f := range r.Findings {
		text := f.Severity.String() + ": " + f.String()
		if f.Remedy != "" {
			text += " | " + f.Remedy
		}
		list = append(list, text)
	}
	return list
}

type modules map[string]func(*kotest.Module)

func TestCheck(t *testing.T) {
	const rebuild = "rebuild it for " + release
	for name, tt := range map[string]struct {
		modules modules
		kernel  func(*Kernel)
		want    []string
	}{
		"good": {modules: modules{
			"kernel/a.ko": func(m *kotest.Module) { m.Exports = []ko.Symbol{{Name: "a_do", CRC: 7, HasCRC: true}} },
			"kernel/b.ko": func(m *kotest.Module) {
				m.Imports = wants(crc("a_do", 7), crc("kobject_add", 0x33), ko.Import{Name: "gone", Weak: true})
			},
			"updates/c.ko": func(m *kotest.Module) {
				m.Imports = wants(crc("dma_buf_get", 0x44))
				m.Info = licensed("GPL", ko.Field{Key: "import_ns", Value: "DMA_BUF"})
			},
			"extra/test_x.ko":  func(m *kotest.Module) { m.Imports = wants(crc("kvm_internal", 0x55)) },
			"extra/kvm_amd.ko": func(m *kotest.Module) { m.Imports = wants(crc("kvm_internal", 0x55)) },
		}},
		"weak-updates": {modules: modules{
			"weak-updates/x.ko": func(m *kotest.Module) { m.Vermagic = older },
		}},
		"weak-updates, extended and basic": {modules: modules{
			"weak-updates/x.ko": func(m *kotest.Module) { m.Vermagic, m.Both = older, true },
		}},
		// same_magic asks for __versions alone.
		"weak-updates, extended only": {modules: modules{
			"weak-updates/x.ko": func(m *kotest.Module) { m.Vermagic, m.Extended = older, true },
		}, want: []string{
			"fault: x (weak-updates/x.ko): it was built for 6.9.0-test, and has no symbol versions by which " +
				"6.9.1-test could tell that it fits | " +
				"weak-updates keeps it from another kernel, and it does not fit: rebuild it for 6.9.1-test, or take " +
				"the link away (weak-modules --remove-modules)",
		}},
		"weak-updates, other symbols": {modules: modules{
			"weak-updates/x.ko": func(m *kotest.Module) {
				m.Vermagic, m.Imports = older, wants(crc("kobject_add", 0x34))
			},
		}, want: []string{
			"fault: x (weak-updates/x.ko): built for 6.9.0-test, disagrees about version of symbol kobject_add (it " +
				"wants 0x00000034, the kernel has 0x00000033) | " +
				"weak-updates keeps it from another kernel, and it does not fit: rebuild it for 6.9.1-test, or take " +
				"the link away (weak-modules --remove-modules)",
		}},
		"extended versions": {modules: modules{
			"kernel/x.ko": func(m *kotest.Module) { m.Extended, m.Imports = true, wants(crc("kobject_add", 0x34)) },
		}, want: []string{"fault: x (kernel/x.ko): disagrees about version of symbol kobject_add (it wants " +
			"0x00000034, the kernel has 0x00000033) | " + reinstall}},
		"struct module": {modules: modules{
			"extra/x/x.ko": func(m *kotest.Module) { m.Imports = []ko.Import{crc("printk", 0x22), crc(layout, 0x12)} },
		}, want: []string{
			"fault: x (extra/x/x.ko): disagrees about version of symbol module_layout (it wants 0x00000012, the " +
				"kernel has 0x00000011) | " + rebuild + ", or leave extra/x out",
		}},
		"flags": {modules: modules{
			"updates/x.ko": func(m *kotest.Module) { m.Vermagic = release + " SMP preempt_rt mod_unload modversions " },
		}, want: []string{
			`fault: x (updates/x.ko): version magic "6.9.1-test SMP preempt_rt mod_unload modversions" should be "6.9.1-test SMP preempt mod_unload modversions": ` +
				"only the module has preempt_rt, only the kernel has preempt | " + rebuild + ", or leave updates out",
		}},
		"MLNX_OFED of another kernel": {modules: modules{
			"updates/dkms/mlx5_core.ko": func(m *kotest.Module) {
				m.Vermagic, m.Imports = older, wants(crc("kobject_add", 0x34), crc("no_more", 1), crc("dma_buf_get",
					0x45))
			},
		}, want: []string{
			"fault: mlx5_core (updates/dkms/mlx5_core.ko): built for 6.9.0-test, disagrees about version of symbol " +
				"kobject_add (it wants 0x00000034, the kernel has 0x00000033) and 1 other | " +
				rebuild + " (MLNX_OFED: mlnxofedinstall --add-kernel-support), or take the inbox driver: leave " +
				"updates/dkms out",
			"fault: mlx5_core (updates/dkms/mlx5_core.ko): built for 6.9.0-test, nothing exports no_more | " +
				rebuild + " (MLNX_OFED: mlnxofedinstall --add-kernel-support), or take the inbox driver: leave " +
				"updates/dkms out",
		}},
		// rdma_cm of the kernel, ib_core of MLNX_OFED.
		"mixed stacks": {modules: modules{
			"updates/dkms/ib_core.ko": func(m *kotest.Module) {
				m.Exports = []ko.Symbol{{Name: "ib_send", CRC: 8, HasCRC: true}}
			},
			"kernel/ib_core.ko": func(m *kotest.Module) {
				m.Exports = []ko.Symbol{{Name: "ib_send", CRC: 7, HasCRC: true}, {Name: "ib_old", CRC: 9, HasCRC: true}}
			},
			"kernel/rdma_cm.ko": func(m *kotest.Module) { m.Imports = wants(crc("ib_send", 7), crc("ib_old", 9)) },
		}, want: []string{
			"fault: rdma_cm (kernel/rdma_cm.ko): disagrees about version of symbol ib_send (it wants 0x00000007, " +
				"ib_core has 0x00000008): " +
				"it was built with the kernel's own ib_core, but modprobe loads updates/dkms/ib_core.ko | " +
				"take all modules that use each other of one package, or the inbox drivers: leave updates/dkms out",
			"fault: rdma_cm (kernel/rdma_cm.ko): nothing exports ib_old; kernel/ib_core.ko has it, but another " +
				"ib_core is loaded, updates/dkms/ib_core.ko | " +
				"take all modules that use each other of one package, or the inbox drivers: leave updates/dkms out",
		}},
		// Here ib_core is the cause.
		"mixed stacks, of another kernel": {modules: modules{
			"updates/dkms/ib_core.ko": func(m *kotest.Module) {
				m.Imports, m.Exports = wants(crc("kobject_add", 0x34)), []ko.Symbol{{Name: "ib_send",
					CRC: 8, HasCRC: true}}
			},
			"kernel/rdma_cm.ko": func(m *kotest.Module) { m.Imports = wants(crc("ib_send", 7)) },
			"kernel/iw_cm.ko":   func(m *kotest.Module) { m.Imports = wants(crc("ib_send", 7)) },
		}, want: []string{
			"fault: ib_core (updates/dkms/ib_core.ko): disagrees about version of symbol kobject_add (it wants " +
				"0x00000034, the kernel has 0x00000033); " +
				"what was built with another ib_core is refused too: iw_cm, rdma_cm | " +
				rebuild + " (MLNX_OFED: mlnxofedinstall --add-kernel-support), or take the inbox driver: leave " +
				"updates/dkms out",
		}},
		"missing dependency": {modules: modules{
			"kernel/x.ko": func(m *kotest.Module) { m.Depends, m.Imports = "y-z", wants(crc("yz_do", 7)) },
		}, want: []string{
			"fault: x (kernel/x.ko): nothing exports yz_do; it depends on y_z, not among the modules that " +
				"were given | " +
				"add what it depends on: give the whole tree (--modules), or put it beside",
		}},
		"missing symbol of no module": {modules: modules{
			"kernel/x.ko": func(m *kotest.Module) { m.Imports = wants(crc("yz_do", 7)) },
		}, want: []string{"fault: x (kernel/x.ko): nothing exports yz_do | " + reinstall}},
		"missing symbol of a dependency that is there": {modules: modules{
			"kernel/x.ko": func(m *kotest.Module) { m.Depends, m.Imports = "y", wants(crc("yz_do", 7)) },
			"kernel/y.ko": func(*kotest.Module) {},
		}, want: []string{"fault: x (kernel/x.ko): nothing exports yz_do | " + reinstall}},
		"weak import with another CRC": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) {
				m.Imports = wants(ko.Import{Name: "kobject_add", Weak: true, CRC: 1, HasCRC: true})
			},
		}, want: []string{
			"fault: x (extra/x.ko): disagrees about version of symbol kobject_add (it wants 0x00000001, the kernel " +
				"has 0x00000033) | " + rebuild + ", or leave extra out",
		}},
		"proprietary": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) {
				m.Info, m.Imports = licensed("Proprietary"), wants(crc("kobject_add", 0x33))
			},
		}, want: []string{
			`fault: x (extra/x.ko): its licence is "Proprietary", but the kernel exports kobject_add to GPL modules only | ask its vendor for a module for this kernel`,
		}},
		"uses a proprietary one": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) {
				m.Info, m.Exports = licensed("Proprietary"), []ko.Symbol{{Name: "x_do", HasCRC: true}}
			},
			"extra/y.ko": func(m *kotest.Module) { m.Imports = wants(crc("x_do", 0), crc("kobject_add", 0x33)) },
		}, want: []string{
			`fault: y (extra/y.ko): its licence is "GPL", but the kernel exports kobject_add to GPL modules only | ask its vendor for a module for this kernel`,
		}},
		"namespace": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) {
				m.Imports = wants(crc("dma_buf_get", 0x44), crc("kvm_internal", 0x55))
			},
		}, want: []string{
			"fault: x (extra/x.ko): it uses dma_buf_get of namespace DMA_BUF and 1 other without importing the " +
				"namespace | rebuild it with MODULE_IMPORT_NS of that namespace",
		}},
		"other architecture": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) { m.Machine = 183 },
		}, want: []string{"fault: x (extra/x.ko): it is for arm64, the kernel is for amd64 | install the package of " +
			"this architecture"}},
		"no vermagic": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) { m.Vermagic = "" },
		}, want: []string{"fault: x (extra/x.ko): it has no vermagic | rebuild it as a module of this kernel"}},
		"no versions": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) { m.Imports = []ko.Import{{Name: "printk"}} },
		}, want: []string{
			"fault: x (extra/x.ko): it has no symbol versions (section __versions), and the kernel compares them | " +
				"rebuild it against the kernel's Module.symvers; do not strip this section",
		}},
		"no versions, forced": {modules: modules{
			"extra/x.ko": func(m *kotest.Module) { m.Imports = []ko.Import{{Name: "printk"}} },
		}, kernel: func(k *Kernel) { k.Config = Kconfig{"CONFIG_MODULE_FORCE_LOAD": "y"} }, want: []string{
			"warning: x (extra/x.ko): it has no symbol versions (section __versions), and the kernel compares them | " +
				"rebuild it against the kernel's Module.symvers; do not strip this section",
		}},
		"exports what is built in": {modules: modules{
			"updates/x.ko": func(m *kotest.Module) {
				m.Exports = []ko.Symbol{{Name: "printk", CRC: 0x22, HasCRC: true}}
			},
		}, want: []string{"fault: x (updates/x.ko): it exports printk, which the kernel has built in | leave it out: " +
			"the kernel has this driver already"}},
		"two owners": {modules: modules{
			"extra/a.ko": func(m *kotest.Module) { m.Exports = []ko.Symbol{{Name: "do", CRC: 1, HasCRC: true}} },
			"extra/b.ko": func(m *kotest.Module) { m.Exports = []ko.Symbol{{Name: "do", CRC: 1, HasCRC: true}} },
		}, want: []string{"warning: b (extra/b.ko): it exports do, as a (extra/a.ko) does: only one of them can be " +
			"loaded | leave one of them out"}},
		"unsigned": {modules: modules{
			"kernel/a.ko": func(m *kotest.Module) { m.Signed = true },
			"extra/b.ko":  nil,
		}, kernel: func(k *Kernel) {
			k.Config = Kconfig{"CONFIG_MODULE_SIG": "y", "CONFIG_MODULE_SIG_FORCE": "y"}
		}, want: []string{
			"fault: b (extra/b.ko): it is not signed, and the kernel takes only signed modules " +
				"(CONFIG_MODULE_SIG_FORCE) | sign it with a key that the kernel trusts (scripts/sign-file " +
				"of its headers)",
		}},
		"unsigned, not enforced": {modules: modules{
			"kernel/a.ko": func(m *kotest.Module) { m.Signed = true },
			"extra/b.ko":  nil,
		}, want: []string{"note: 1 of 2 modules are not signed: a kernel that is locked down (Secure Boot, " +
			"lockdown=) refuses them"}},
		"kernel without versions": {modules: modules{
			"extra/a.ko": func(m *kotest.Module) { m.Vermagic = release + " SMP " },
			"extra/b.ko": func(m *kotest.Module) { m.Vermagic = older[:len("6.9.0-test")] + " SMP " },
		}, kernel: func(k *Kernel) { k.Vermagic = release + " SMP " }, want: []string{
			"fault: b (extra/b.ko): it was built for 6.9.0-test, and has no symbol versions by which 6.9.1-test " +
				"could tell that it fits | " + rebuild + ", or leave extra out",
		}},
		// What most in-tree modules import stands for the kernel.
		"derived": {modules: modules{
			"kernel/a.ko": nil, "kernel/b.ko": nil,
			"kernel/c.ko": func(m *kotest.Module) { m.Imports = []ko.Import{crc(layout, 0x11), crc("printk", 0x23)} },
			"extra/d.ko":  func(m *kotest.Module) { m.Imports = wants(crc("unheard_of", 1)) },
		}, kernel: func(k *Kernel) { k.Exports, k.Vermagic = nil, "" }, want: []string{
			"fault: c (kernel/c.ko): disagrees about version of symbol printk (it wants 0x00000023, the kernel has " +
				"0x00000022) | " + reinstall,
			"note: no module of the kernel's own says whether the kernel exports unheard_of: they are taken on trust " +
				"| give the kernel's Module.symvers by --symvers to have them checked",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			kernel := testKernel()
			if tt.kernel != nil {
				tt.kernel(&kernel)
			}
			var files []File
			for _, path := range sortedPaths(tt.modules) {
				f := module(t, path, tt.modules[path])
				f.Shadowed = path == "kernel/ib_core.ko"
				files = append(files, f)
			}
			got := texts(Check(kernel, files, Config{Symbols: true}))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestUnreadable(t *testing.T) {
	r := Check(testKernel(), []File{{Path: "kernel/x.ko", Err: errors.New("cut off")}, module(t, "kernel/y.ko", nil)},
		Config{Symbols: true})
	want := []string{"fault: x (kernel/x.ko): cut off | install the package it comes from again"}
	if diff := cmp.Diff(want, texts(r)); diff != "" || r.Modules != 1 {
		t.Errorf("%d modules (-want +got):\n%s", r.Modules, diff)
	}
}

// A signature that cannot be parsed is refused by every kernel that looks at it.
func TestBadSignature(t *testing.T) {
	f := module(t, "kernel/x.ko", nil)
	f.Module.Signature = &ko.Signature{Fault: "cut off"}
	if r := Check(testKernel(), []File{f}, Config{}); r.Faults() != 1 {
		t.Errorf("%q", texts(r))
	}
}

func TestCheckDep(t *testing.T) {
	dep := "kernel/a.ko: kernel/b.ko kernel/c.ko\nkernel/b.ko:\nkernel/d.ko: kernel/b.ko\n"
	found := CheckDep(dep, func(path string) bool { return path == "kernel/a.ko" || path == "kernel/b.ko" })
	want := []string{
		"fault: a (kernel/a.ko): it needs kernel/c.ko, which is not there | install its package again, or run " +
			"depmod; build the image again",
		"fault: d (kernel/d.ko): modules.dep lists it, but the file is not there | install its package again, or run " +
			"depmod; build the image again",
	}
	if diff := cmp.Diff(want, texts(Report{Findings: found})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestCheckUses(t *testing.T) {
	files := []File{
		module(t, "kernel/a.ko", func(m *kotest.Module) { m.Exports = []ko.Symbol{{Name: "a_do"}} }),
		module(t, "kernel/b.ko", func(m *kotest.Module) { m.Imports = wants(ko.Import{Name: "a_do"}) }),
	}
	if found := CheckUses("kernel/a.ko:\nkernel/b.ko: kernel/a.ko\n", files); found != nil {
		t.Errorf("good: %q", texts(Report{Findings: found}))
	}
	want := []string{"fault: b (kernel/b.ko): it uses symbols of a, which modules.dep does not say | run depmod"}
	if diff := cmp.Diff(want, texts(Report{Findings: CheckUses("kernel/a.ko:\nkernel/b.ko:\n", files)})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
