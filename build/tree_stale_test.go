package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/ko/kotest"
)

// A vendor's driver that depmod has not seen gets into the image, and that is told: it is never passed
// over for the kernel's own in silence.
func TestImageOfStaleTree(t *testing.T) {
	vendor := func(root, at string) {
		m := kotest.Module{Name: ko.ModuleName(at), Vermagic: buildtest.Release + " SMP ", OutOfTree: true, Pad: 5000}
		buildtest.Write(t, filepath.Join(root, "lib", "modules", buildtest.Release, at), m.Bytes())
	}
	for name, tt := range map[string]struct {
		files []string
		aged  bool     // unpacked from an archive, which has given them its times
		seen  bool     // depmod ran after they came, and chose by an order that only its machine knows
		add   string   // by --module
		want  []string // paths in the image
		told  []string
	}{
		"in place of the kernel's": {
			files: []string{"extra/mlnx/virtio_net.ko", "extra/mlnx/other.ko"},
			want:  []string{"extra/mlnx/virtio_net.ko"},
			told: []string{"module virtio_net: extra/mlnx/virtio_net.ko is in the image, not " +
				"kernel/drivers/net/virtio_net.ko.gz, which modules.dep names: depmod has not run since it came; " +
				"run depmod -b "},
		},
		"as old as its package": {
			files: []string{"updates/dkms/ext4.ko"}, aged: true, want: []string{"updates/dkms/ext4.ko"},
			told: []string{"which modules.dep names: depmod has not run since it came; "},
		},
		"in updates": {
			files: []string{"updates/dkms/ext4.ko"}, want: []string{"updates/dkms/ext4.ko"},
			told: []string{"module ext4: updates/dkms/ext4.ko is in the image, not "},
		},
		"one that modules.dep lacks": {
			files: []string{"updates/dkms/r8125.ko"}, add: "r8125", want: []string{"updates/dkms/r8125.ko"},
			told: []string{"module r8125: updates/dkms/r8125.ko is in the image, which modules.dep does not know: "},
		},
		"not wanted": {
			files: []string{"updates/dkms/r8125.ko"}, want: []string{"kernel/fs/ext4/ext4.ko"},
			told: []string{"is stale: depmod has not seen 1 module file (updates/dkms/r8125.ko); none of it is in " +
				"the image; run depmod -b "},
		},
		"after the kernel's": { // by the search order modules.dep is right
			files: []string{"weak-updates/ext4.ko"}, want: []string{"kernel/fs/ext4/ext4.ko"},
		},
		"that depmod saw": {
			files: []string{"extra/ext4.ko"}, seen: true, want: []string{"kernel/fs/ext4/ext4.ko"},
		},
		"as depmod left it": {want: []string{"kernel/fs/ext4/ext4.ko"}},
	} {
		t.Run(name, func(t *testing.T) {
			root := buildtest.Tree(t)
			for _, at := range tt.files {
				vendor(root, at)
			}
			if tt.aged {
				old := time.Unix(1_600_000_000, 0)
				for _, at := range tt.files {
					if err := os.Chtimes(filepath.Join(root, "lib", "modules", buildtest.Release, at), old, old); err != nil {
						t.Fatal(err)
					}
				}
			}
			if tt.seen {
				later := time.Now().Add(time.Minute)
				if err := os.Chtimes(filepath.Join(root, "lib", "modules", buildtest.Release, "modules.dep"), later,
					later); err != nil {
					t.Fatal(err)
				}
			}
			s := testSpec(t, root)
			s.SkipCheck = true
			if tt.add != "" {
				s.ExtraModules = []string{tt.add}
			}
			r, err := Image(t.Context(), s, nil)
			if err != nil {
				t.Fatal(err)
			}
			image, err := os.Open(s.Out)
			if err != nil {
				t.Fatal(err)
			}
			defer image.Close() //nolint:errcheck // nothing was written
			c, err := initramfs.Inspect(image)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.want {
				at := initramfs.ModulesDir + "/" + buildtest.Release + "/" + want
				if !slices.ContainsFunc(c.Files, func(f initramfs.File) bool { return f.Name == at }) {
					t.Errorf("%s is not in the image", at)
				}
			}
			told := slices.DeleteFunc(slices.Clone(r.Warnings),
				func(w string) bool { return !strings.Contains(w, "modules.dep") })
			if len(told) != len(tt.told) {
				t.Errorf("warnings %q, want %q", told, tt.told)
			}
			for _, want := range tt.told {
				if !strings.Contains(strings.Join(told, "\n"), want) {
					t.Errorf("warnings %q lack %q", told, want)
				}
			}
		})
	}
}

// Many stale modules are a few lines.
func TestStaleWarningsAreFew(t *testing.T) {
	root := buildtest.Tree(t)
	dir := filepath.Join(root, "lib", "modules", buildtest.Release)
	dep, err := os.ReadFile(filepath.Join(dir, "modules.dep"))
	if err != nil {
		t.Fatal(err)
	}
	buildtest.Write(t, filepath.Join(dir, "modules.dep"), []byte(strings.ReplaceAll(string(dep), ".ko.gz", ".ko")))
	r, err := Image(t.Context(), testSpec(t, root), nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(r.Warnings); n != 4 || !strings.HasPrefix(r.Warnings[3], "so it is with 2 more modules of the image: "+
		"run depmod -b ") {
		t.Errorf("%d warnings: %q", n, r.Warnings)
	}
}
