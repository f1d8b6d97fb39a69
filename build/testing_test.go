package build

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/buildtest"
)

// testSpec makes an image of buildtest.Tree without a compiler.
func testSpec(t *testing.T, root string) Spec {
	t.Helper()
	return Spec{
		Modules: root, Profiles: []string{"virt", "iscsi", "ext4"}, Out: filepath.Join(t.TempDir(), "image"),
		Config: []byte("ip=dhcp\n"), Time: time.Unix(1_700_000_000, 0),
		Init: func(context.Context, string) ([]byte, error) {
			return buildtest.ELFStub(buildtest.MachineAMD64, "init"), nil
		},
	}
}
