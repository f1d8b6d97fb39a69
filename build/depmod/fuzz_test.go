package depmod

import (
	"strings"
	"testing"
	"testing/fstest"
)

// The texts of a tree may say anything.
func FuzzStale(f *testing.F) {
	f.Add("kernel/a.ko: kernel/b.ko\nextra/c-d.ko.xz:\n/lib/modules/r/kernel/e.ko:\n", "kernel/b.ko\nkernel/a.ko\n",
		"kernel/a.ko\n")
	f.Add("#\n\nno colon", "kernel/a.ko", "\n/")
	f.Fuzz(func(t *testing.T, dep, order, builtin string) {
		fsys := fstest.MapFS{
			"lib/modules/r/modules.dep": {Data: []byte(dep)}, "lib/modules/r/modules.order": {Data: []byte(order)},
			"lib/modules/r/modules.builtin": {Data: []byte(builtin)},
			"lib/modules/r/kernel/a.ko":     {}, "lib/modules/r/kernel/b.ko": {}, "lib/modules/r/extra/c-d.ko.xz": {},
			"lib/modules/r/updates/b.ko": {},
		}
		files, _, err := Files(fsys, "r", Config{})
		if err != nil || len(files) != 3 {
			t.Fatalf("found %v, %v", files, err)
		}
		differences, err := Stale(fsys, "r", Config{})
		if err != nil {
			return
		}
		// What Files says is never stale.
		var fresh strings.Builder
		for _, file := range files {
			fresh.WriteString(file.Path + ":\n")
		}
		fsys["lib/modules/r/modules.dep"].Data = []byte(fresh.String())
		if again, err := Stale(fsys, "r", Config{}); err != nil || again != nil {
			t.Errorf("fresh modules.dep: %v, %v (before: %v)", again, err, differences)
		}
	})
}
