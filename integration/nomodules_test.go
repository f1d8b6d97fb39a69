package integration

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
)

// An image without any module, for a kernel that has built in what it needs: this
// one can do so much as stay in RAM.
func TestBootWithoutModules(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Name: "no-modules", Root: lab.RootRAM, Timeout: 3 * time.Minute}
	needs(t, spec)
	add, err := lab.AddFlags(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	spec.Kernel = filepath.Join(kernelDir(t), "vmlinuz")
	spec.Image = buildImage(t, "ram", append(add, "--modules", "none")...) // the last --modules counts
	spec.Log = testLogFile(spec.Name)
	takePlace(t, busy)
	res, err := sharedLab(t).Boot(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	bootCase{spec: spec, expect: []string{
		`nodisk: there are no modules to load: what the boot needs must be built into this kernel, 6\.`,
		`nodisk: drivers \(2/3\): no module to load`, `nodisk: switch \(3/3\): `,
	}}.check(t, res)
}
