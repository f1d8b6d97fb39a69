package build

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// ageTree makes a root with one module of a kernel, and the kernel's file.
func ageTree(t *testing.T, release string) (root, kernel string) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, initramfs.ModulesDir, release)
	buildtest.Write(t, filepath.Join(dir, "kernel/drivers/net/dummy.ko"), kotest.Module{
		Name:     "dummy",
		Vermagic: release + " SMP ",
	}.Bytes())
	for name, text := range map[string]string{
		"modules.dep": "kernel/drivers/net/dummy.ko:\n", "modules.alias": "",
		"modules.softdep": "", "modules.builtin": "",
	} {
		buildtest.Write(t, filepath.Join(dir, name), []byte(text))
	}
	kernel = filepath.Join(root, "vmlinuz")
	buildtest.Write(t, kernel, buildtest.BzImage(release))
	return root, kernel
}

const tooOld = ": nodisk needs Linux 4.18 or newer: "

// The kernels that nodisk is not for are refused by name, whoever tells which
// one it is.
func TestOldKernel(t *testing.T) {
	for release, refused := range map[string]bool{
		"4.14.336": true, "3.10.0-1160.el7.x86_64": true, "4.17.19-1-amd64": true,
		"4.18.0-553.el8_10.x86_64": false, "5.10.0-30-amd64": false, "6.12.117+deb13-amd64": false, "6.16-amd64": false,
	} {
		t.Run(release, func(t *testing.T) {
			root, kernel := ageTree(t, release)
			for from, s := range map[string]Spec{
				"kernel":         {Kernel: kernel, Modules: root},
				"modules":        {Modules: root},
				"kernel alone":   {Kernel: kernel, Modules: NoModules},
				"another's tree": {Kernel: kernel, Modules: buildtest.Tree(t)},
			} {
				s.Profiles, s.Out = []string{"ram"}, filepath.Join(t.TempDir(), "image")
				s.Init = func(context.Context, string) ([]byte, error) {
					return buildtest.ELFStub(buildtest.MachineAMD64, "init"), nil
				}
				_, err := Image(t.Context(), s, nil)
				if got := err != nil && strings.HasPrefix(err.Error(), "kernel "+release+tooOld); got != refused {
					t.Errorf("build by %s: refused %v, want %v: %v", from, got, refused, err)
				}
				if from == "another's tree" {
					continue
				}
				s.SkipCheck = true
				r, err := Image(t.Context(), s, nil)
				warned := slices.ContainsFunc(r.Warnings,
					func(w string) bool { return strings.HasPrefix(w, "kernel "+release+tooOld) })
				if err != nil || warned != refused {
					t.Errorf("build by %s, --no-check: %v, warnings %q", from, err, r.Warnings)
				}
			}
			for from, s := range map[string]CheckSpec{
				"kernel":  {Kernel: kernel, Modules: root},
				"modules": {Modules: root},
			} {
				reports, err := Check(t.Context(), s)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, f := range reports[0].Findings {
					if f.Kind == abi.TooOld && f.Severity == abi.Fault && f.Module == "" {
						got = append(got, f.String())
					}
				}
				if len(got) == 1 && !strings.HasPrefix(got[0], "kernel "+release+tooOld) || (len(got) == 1) != refused {
					t.Errorf("check by %s: %q, want a fault: %v", from, got, refused)
				}
			}
		})
	}
}

// A kernel that cannot unpack the image would panic before a line of nodisk's.
func TestUnpacks(t *testing.T) {
	const noZstd, onlyGzip = "# CONFIG_RD_ZSTD is not set\nCONFIG_RD_GZIP=y\nCONFIG_RD_XZ=y\n" +
		"CONFIG_RD_LZ4=y\n", "CONFIG_RD_GZIP=y\n"
	for name, tt := range map[string]struct {
		release, config string
		compress        compress.Compression
		want            string
	}{
		"zstd before 5.9": {"5.4.0-216-generic", "", compress.Zstd, "compress image: kernel 5.4.0-216-generic unpacks " +
			"no zstd, which Linux 5.9 does: take --compress lz4, gzip or none"},
		"zstd since 5.9":   {"5.9.0", "", compress.Zstd, ""},
		"zstd, backported": {"4.18.0-553.el8_10", "CONFIG_RD_ZSTD=y\n", compress.Zstd, ""},
		"zstd, not built": {"6.1.0", noZstd, compress.Zstd, "compress image: kernel 6.1.0 unpacks no zstd (no " +
			"CONFIG_RD_ZSTD in its configuration): take --compress lz4 or gzip or xz or none"},
		"lz4, not built": {"6.1.0", onlyGzip, compress.LZ4, "compress image: kernel 6.1.0 unpacks no lz4 (no " +
			"CONFIG_RD_LZ4 in its configuration): take --compress gzip or none"},
		"lz4, not known": {"4.18.0", "", compress.LZ4, ""},
		"gzip":           {"4.18.0", onlyGzip, compress.Gzip, ""},
		"xz, not built": {"6.1.0", onlyGzip, compress.XZ, "compress image: kernel 6.1.0 unpacks no xz (no " +
			"CONFIG_RD_XZ in its configuration): take --compress gzip or none"},
		"none needs no support": {"4.18.0", onlyGzip, compress.None, ""},
	} {
		t.Run(name, func(t *testing.T) {
			root, kernel := ageTree(t, tt.release)
			if tt.config != "" {
				buildtest.Write(t, filepath.Join(root, "config"), []byte(tt.config))
			}
			s := Spec{
				Kernel: kernel, Modules: root, Profiles: []string{"ram"}, Compress: tt.compress,
				Out: filepath.Join(t.TempDir(), "image"),
				Init: func(context.Context, string) ([]byte, error) {
					return buildtest.ELFStub(buildtest.MachineAMD64, "init"), nil
				},
			}
			_, err := Image(t.Context(), s, nil)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || err.Error() != tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			s.SkipCheck = true
			r, err := Image(t.Context(), s, nil)
			if err != nil || tt.want != "" && !slices.Contains(r.Warnings, tt.want) {
				t.Errorf("--no-check: %v, warnings %q", err, r.Warnings)
			}
		})
	}
}
