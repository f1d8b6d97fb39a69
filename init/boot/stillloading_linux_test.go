package boot

import "testing"

func TestStillLoading(t *testing.T) {
	for _, c := range []struct {
		modules []string
		looking bool
		want    string
	}{
		{nil, false, ""},
		{nil, true, "drivers are still being looked for"},
		{[]string{"ixgbe", "mlx5_core"}, true, "modules are still loading: ixgbe mlx5_core"},
		{[]string{"a", "b", "c", "d", "e", "f", "g", "h"}, false, "modules are still loading: a b c d e f and 2 more"},
	} {
		if got := stillLoading(c.modules, c.looking); got != c.want {
			t.Errorf("%q, %v: %q, want %q", c.modules, c.looking, got, c.want)
		}
	}
}
