package preflight

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/kernel"
)

// The kernel that boots counts, then that of the image's modules; not the one under
// which the inventory was made.
func TestOldKernel(t *testing.T) {
	const old, good = "4.14.336", "4.18.0-553.el8_10.x86_64"
	for name, tt := range map[string]struct {
		in   Input
		want bool
	}{
		"kernel":               {Input{Kernel: &kernel.Image{Release: old}}, true},
		"good kernel":          {Input{Kernel: &kernel.Image{Release: good}}, false},
		"image":                {Input{Image: &Image{releases: []string{old}, files: fstest.MapFS{}}}, true},
		"good image":           {Input{Image: &Image{releases: []string{good}, files: fstest.MapFS{}}}, false},
		"image of several":     {Input{Image: &Image{releases: []string{old, good}, files: fstest.MapFS{}}}, false},
		"kernel before image":  {Input{Kernel: &kernel.Image{Release: good}, Image: &Image{releases: []string{old}, files: fstest.MapFS{}}}, false},
		"inventory under it":   {Input{Inventory: &inventory.List{Release: old}}, false},
		"nothing but the line": {Input{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Check(t.Context(), tt.in)
			if err != nil {
				t.Fatal(err)
			}
			told := slices.ContainsFunc(r.Faults, func(f string) bool {
				return strings.HasPrefix(f, "kernel "+old+": nodisk needs Linux 4.18 or newer: ")
			})
			if told != tt.want {
				t.Errorf("told: %v, want %v; faults %q", told, tt.want, r.Faults)
			}
		})
	}
}
