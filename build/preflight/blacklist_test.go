package preflight

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// What the image has and a blacklist forbids is not added by a profile.
func TestCheckBlacklistedIPoIB(t *testing.T) {
	image := openImage(t, makeImage(t, "ib,mlx5,nfs", nil))
	for _, node := range []string{"", "41:00.0 0207: 15b3:101b\n"} {
		for _, key := range []string{"rd.driver.blacklist", "module_blacklist"} {
			for _, line := range []string{"ip=ib0:dhcp", "ip=ibp65s0:dhcp", "ip=0x2c90300001039:dhcp", "ip=dhcp"} {
				if node == "" && line == "ip=dhcp" {
					continue
				}
				r, err := Check(t.Context(), Input{
					Line: cmdline.Parse("root=nfs:10.0.0.1:/srv " + key + "=ib_ipoib " + line), Image: image, Inventory: inventoryOf(t, node),
				})
				if err != nil {
					t.Fatal(err)
				}
				got := strings.Join(r.Faults, "\n")
				if !strings.Contains(got, "ib_ipoib") || !strings.Contains(got, " is in the image, but blacklisted: leave ib_ipoib out of "+key+"=") || strings.Contains(got, "add --profile") {
					t.Errorf("%s %s on %q: %q", key, line, node, got)
				}
			}
		}
	}
}
