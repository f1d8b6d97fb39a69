package build

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/compress"
	"github.com/nodisk/nodisk/modload"
)

// On a distribution's kernel, what a module asks for by name is in the image, without
// any profile.
func TestExtras(t *testing.T) {
	kernel := buildtest.KernelDir(t)
	for _, tt := range []struct {
		module  string
		aliases string // each leads to a module of the image
		softdep string
	}{
		{"btrfs", "crypto-crc32c crypto-xxhash64 crypto-sha256 crypto-blake2b-256", ""},
		{"iscsi_tcp", "crypto-crc32c sd_mod", ""},
		{"f2fs", "crypto-crc32", ""},
		{"vfat", "nls_cp437 nls_ascii", ""},
		{"cifs", "crypto-cmac crypto-hmac crypto-md5 crypto-ccm crypto-gcm", ""},
		{"dm_crypt", "crypto-aes crypto-xts crypto-ecb", ""},
		{"ahci", "sd_mod", ""},
		{"usb_storage", "sd_mod", ""},
		{"tg3", "broadcom", "softdep tg3 pre: broadcom"},
	} {
		t.Run(tt.module, func(t *testing.T) {
			s := testSpec(t, kernel)
			s.Profiles, s.ExtraModules, s.Config, s.Compress = []string{"ram"}, []string{tt.module}, nil, compress.None
			r, image := makeImage(t, s)
			dir := t.TempDir()
			unpackImage(t, image, dir)
			x, err := modload.Open(os.DirFS(dir), r.Release)
			if err != nil {
				t.Fatal(err)
			}
			for name := range strings.FieldsSeq(tt.aliases) {
				if len(x.Match(name)) == 0 && !x.Has(name) && !x.Builtin(name) {
					t.Errorf("nothing in the image answers to %s; there are %v", name, moduleNames(r))
				}
			}
			softdeps, err := os.ReadFile(filepath.Join(dir, "lib/modules", r.Release, "modules.softdep"))
			if err != nil {
				t.Fatal(err)
			}
			if tt.softdep != "" && !slices.Contains(strings.Split(string(softdeps), "\n"), tt.softdep) {
				t.Errorf("modules.softdep lacks %q:\n%s", tt.softdep, softdeps)
			}
		})
	}
}

func TestWeakdeps(t *testing.T) {
	root := buildtest.Tree(t)
	buildtest.Write(t, filepath.Join(root, "lib/modules", buildtest.Release, "modules.weakdep"),
		[]byte("# c\nweakdep virtio-net dummy\nweakdep x\nweakdep dummy nothing\n"))
	s := testSpec(t, root)
	s.Profiles, s.Config = []string{"virt"}, nil
	r, _ := makeImage(t, s)
	// ext4 is dummy's softdep
	if names := moduleNames(r); !slices.Contains(names, "dummy") || !slices.Contains(names, "ext4") {
		t.Errorf("the image has only %v", names)
	}
}
