package modtree

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What depmod does not know is in modules.softdep, as far as the image has it.
func TestCompanionSoftdeps(t *testing.T) {
	inside := map[string]bool{"mlx4_core": true, "mlx4_ib": true, "mlx5_core": true, "ib_ipoib": true}
	want := "softdep mlx4_core post: mlx4_ib\nsoftdep mlx4_ib post: ib_ipoib\n"
	if diff := cmp.Diff(want, companions(func(m string) bool { return inside[m] })); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
