package link

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A kernel that cannot give the routes of a router another metric takes none from it.
func TestRouterMetric(t *testing.T) {
	for _, tt := range []struct{ have, want []string }{
		{[]string{"ra_defrtr_metric", "accept_ra_defrtr"}, []string{"accept_ra_defrtr", "ra_defrtr_metric 1025"}},
		{[]string{"accept_ra_defrtr"}, []string{"accept_ra_defrtr 0"}},
		{nil, nil}, // no IPv6
	} {
		root := t.TempDir()
		dir := filepath.Join(root, "conf", "eth0")
		if len(tt.have) > 0 {
			if err := os.MkdirAll(dir, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		for _, name := range tt.have {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := setRouterMetric(root, "eth0", 1025); err != nil {
			t.Error(err)
		}
		var got []string
		for _, name := range tt.have {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, strings.TrimSpace(name+" "+string(b)))
		}
		slices.Sort(got)
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", tt.have, diff)
		}
	}
}
