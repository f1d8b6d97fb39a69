package modtree

import (
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/modload"
)

// The table names modules that exist, so that a typing error does not go
// unnoticed: all but those that this kernel has built in, has not yet or has no more.
func TestExtrasExist(t *testing.T) {
	kernel := buildtest.KernelDir(t)
	tree, err := Find(kernel, "")
	if err != nil {
		t.Fatal(err)
	}
	x, err := modload.Open(tree, tree.Release)
	if err != nil {
		t.Fatal(err)
	}
	other := []string{ // of other kernels or architectures
		"utf8data", "ntfs3", "bcmgenet", "fec", "macb", "mvneta", "mvpp2", "bcm7xxx", "motorcomm",
		"crypto-crc64-rocksoft", "crypto-crct10dif",
	}
	var paths []string
	for _, path := range x.Files() {
		paths = append(paths, path)
	}
	for _, e := range Extras() {
		if strings.HasSuffix(e.module, "/") {
			if !slices.ContainsFunc(paths, func(path string) bool { return e.of("", path) }) {
				t.Errorf("no module below %s", e.module)
			}
		} else if !x.Has(e.module) && !slices.Contains(other, e.module) {
			t.Errorf("no module %s", e.module)
		}
		if _, absent := x.Absent(e.wants); !slices.Contains(other, e.module) {
			for _, name := range absent {
				if !slices.Contains(other, name) {
					t.Errorf("%s wants %s, which does not exist", e.module, name)
				}
			}
		}
	}
}
