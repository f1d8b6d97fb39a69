package integration

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/modload"
)

// lister is an init that tells which modules are loaded and with which
// parameters, before the root's own.
const lister = `#!/bin/busybox sh
b=/bin/busybox
exec </dev/console >/dev/console 2>&1
echo "nodisk-root: modules $($b awk '{ print $1 }' /proc/modules | $b tr '\n' ' ')"
echo "nodisk-root: ports $($b cat /sys/module/mlx4_core/parameters/port_type_array)"
exec /sbin/init
`

// guide is the list of the FlexBoot guide, in its order.
const guide = "ib_addr ib_core ib_mad ib_sa ib_cm ib_uverbs ib_ucm ib_umad iw_cm rdma_cm rdma_ucm mlx4_core mlx4_ib " +
	"ib_mthca ipoib_helper ib_ipoib"

// Without any InfiniBand hardware, every module of the InfiniBand profiles loads: once
// from the kernel's tree, because the command line names the profiles, and once
// from directories without index, because it names the modules.
func TestBootInfiniBandModules(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Root: lab.RootRAM, Static: true}
	needs(t, spec)
	kernel := kernelDir(t)
	x := moduleIndex(t, kernel)
	tree := t.TempDir()
	add, err := lab.AddFlags(tree)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "sbin/list"), []byte(lister),
		0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	// What the kernel has of the guide's list; rdma_cm's configfs is not in it.
	inKernel, _ := x.Absent(strings.Fields(guide))
	flat := filepath.Join(t.TempDir(), "ib")
	copyModules(t, x, kernel, flat, append([]string{"configfs"}, inKernel...))
	packed := filepath.Join(t.TempDir(), "mlx4_en.ko.gz")
	packModule(t, x, kernel, "mlx4_en", packed)

	const retired = `nodisk: modules: no ib_addr ib_mad ib_sa ib_ucm ipoib_helper: this kernel has them in ib_core or does without`
	lab := sharedLab(t)
	for _, c := range []struct {
		name    string
		image   string
		cmdline string
		loaded  []string
		exactly bool // loaded is all, in that order
		ports   string
	}{
		{
			name:    "profiles",
			image:   buildImage(t, "ib,mlx4,mlx5,en,virt,ram", add...),
			cmdline: "nodisk.profile=ib,mlx4,mlx5,en,virt ib_ipoib.lro=0 nodisk.mlx4.port_type=ib,eth",
			loaded:  append(slices.Clone(inKernel), "mlx4_en", "mlx5_core", "mlx5_ib"),
			ports:   "1,2",
		},
		{
			name: "flat",
			// The last --modules counts.
			image: buildImage(t, "ram", append(add, "--modules", "none", "--module-dir", flat, "--add",
				packed+":/lib/modules/vendor/mlx4_en.ko.gz")...),
			cmdline: "nodisk.modules=configfs," + strings.Join(strings.Fields(guide), ",") +
				" rd.driver.post=mlx4_en ib_ipoib.lro=0 nodisk.mlx4.port_type=eth",
			loaded: slices.Concat([]string{"configfs"}, inKernel, []string{"mlx4_en"}), exactly: true,
			ports: "2,2",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, busy)
			s := spec
			s.Name, s.Kernel, s.Image = c.name, filepath.Join(kernel, "vmlinuz"), c.image
			s.Cmdline = "root=/dev/ram init=/sbin/list nodisk.log=debug nodisk.onfail=poweroff nodisk.deadline=60s " +
				c.cmdline
			s.CPUs, s.Timeout = 2, 4*time.Minute
			s.Log = testLogFile("modules-" + c.name)
			res, err := lab.Boot(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%.2f s of the guest in the initramfs; %s", res.Times.Initramfs().Seconds(), res.End)
			if !res.Reached {
				t.Fatalf("the root was not reached: %s; the console's end:\n%s", res.Why, transcript.Tail(res.Console, 40))
			}
			// The kernel ignores parameters that the module has no more.
			if err := res.Expect(retired, `ib_ipoib: unknown parameter 'lro' ignored`); err != nil {
				t.Error(err)
			}
			for _, name := range c.loaded {
				if !slices.Contains(said(res, "modules"), name) {
					t.Errorf("%s is not loaded; there are %v", name, said(res, "modules"))
				}
			}
			order := said(res, "modules")
			slices.Reverse(order) // the kernel lists the latest first
			if c.exactly && !slices.Equal(order, c.loaded) {
				t.Errorf("loaded in the order %v, want %v", order, c.loaded)
			}
			if ports := strings.Join(said(res, "ports"), " "); ports != c.ports {
				t.Errorf("mlx4_core has port_type_array=%s, want %s", ports, c.ports)
			}
		})
	}
}

// said is what the root said under a key.
func said(res lab.BootResult, key string) []string {
	for _, line := range res.Root.Lines {
		if words := strings.Fields(line); len(words) > 0 && words[0] == key {
			return words[1:]
		}
	}
	return nil
}

// moduleIndex is the index of the kernel under test.
func moduleIndex(t *testing.T, kernel string) *modload.Index {
	t.Helper()
	trees, err := filepath.Glob(filepath.Join(kernel, "lib/modules/*/modules.dep"))
	if err != nil || len(trees) != 1 {
		t.Fatalf("%s holds %d module trees, want one: %v", kernel, len(trees), err)
	}
	x, err := modload.Open(os.DirFS(kernel), filepath.Base(filepath.Dir(trees[0])))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// moduleFile is the file of a module in the kernel's tree.
func moduleFile(t *testing.T, x *modload.Index, kernel, name string) string {
	t.Helper()
	for module, path := range x.Files() {
		if module == name {
			return filepath.Join(kernel, path)
		}
	}
	t.Fatalf("the kernel has no module %s", name)
	return ""
}

// copyModules makes a flat directory.
func copyModules(t *testing.T, x *modload.Index, kernel, dir string, names []string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		from := moduleFile(t, x, kernel, name)
		if err := copyTo(from, filepath.Join(dir, filepath.Base(from)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// packModule writes a module compressed.
func packModule(t *testing.T, x *modload.Index, kernel, name, to string) {
	t.Helper()
	in, err := os.Open(moduleFile(t, x, kernel, name))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close() //nolint:errcheck // nothing was written
	out, err := os.Create(to)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(out)
	if _, err := io.Copy(z, in); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}
