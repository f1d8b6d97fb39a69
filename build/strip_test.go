package build

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
)

func TestStripSignatures(t *testing.T) {
	kernel := buildtest.KernelDir(t)
	s := testSpec(t, kernel)
	s.Kernel = filepath.Join(kernel, "vmlinuz")
	s.StripSignatures, s.Profiles = true, []string{"virt"}
	r, image := makeImage(t, s)
	files, _, err := ReadImage(bytes.NewReader(image))
	if err != nil {
		t.Fatal(err)
	}
	count := 0
	for _, f := range files {
		if f.Part != initramfs.PartModules {
			continue
		}
		count++
		m, err := ko.Parse(f.Data)
		if err != nil || m.Signature != nil {
			t.Errorf("%s: %v, signature %v", f.Name, err, m.Signature)
		}
	}
	if count == 0 || !strings.Contains(strings.Join(r.Notes, "\n"), "without signature") ||
		!strings.Contains(strings.Join(r.Notes, "\n"), "lockdown") {
		t.Errorf("%d modules, notes %q", count, r.Notes)
	}
}

// A kernel that insists on signatures would load none of the modules.
func TestStripSignaturesRefused(t *testing.T) {
	for name, tt := range map[string]struct{ file, text, want string }{
		"forced":             {"config", "CONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_FORCE=y\n", "CONFIG_MODULE_SIG_FORCE"},
		"forced, by release": {"config-" + buildtest.Release, "CONFIG_MODULE_SIG_FORCE=y\n", "without --strip-signatures"},
		"lockdown": {
			"config", "CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY=y\n",
			"CONFIG_LOCK_DOWN_KERNEL_FORCE_INTEGRITY",
		},
		"not forced": {"config", "# CONFIG_MODULE_SIG_FORCE is not set\nCONFIG_MODULE_SIG=y\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := testSpec(t, buildtest.Tree(t))
			s.Kernel = filepath.Join(t.TempDir(), "vmlinuz")
			buildtest.Write(t, s.Kernel, buildtest.BzImage(buildtest.Release))
			buildtest.Write(t, filepath.Join(filepath.Dir(s.Kernel), tt.file), []byte(tt.text))
			s.StripSignatures, s.SkipCheck = true, true
			_, err := Image(t.Context(), s, nil)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}
