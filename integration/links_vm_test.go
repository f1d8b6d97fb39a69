package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/server"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/modload"
)

// linksInit runs the tests of package bringup that change links, on a kernel
// that has all kinds of them.
const linksInit = `#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sysfs /sys; $b mount -t devtmpfs dev /dev
exec </dev/console >/dev/console 2>&1
while read -r module; do $b insmod $module; done </modules/list
/bringup.test -test.v -test.run '^TestKernel'
echo "links: status $?"
$b poweroff -f
`

// Bonds with every option, VLANs, bridges and IPv6 as the kernel under test takes
// them.
func TestLinks(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Root: lab.RootNone, Static: true, Memory: 256, Timeout: 2 * time.Minute}
	needs(t, spec)
	dir := kernelDir(t)
	busybox, err := tool.StaticBusybox()
	if err != nil {
		testenv.Missing(t, err.Error())
	}
	tests := filepath.Join(t.TempDir(), "bringup.test")
	compile := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "ownmachine", "-o", tests, "../netsetup/bringup")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	a := server.NewArchive()
	for name, from := range map[string]string{"bin/busybox": busybox, "bringup.test": tests} {
		data, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		a.Put(name, data, 0o755)
	}
	a.Put("init", []byte(linksInit), 0o755)
	release, err := lab.KernelRelease(dir)
	if err != nil {
		t.Fatal(err)
	}
	index, err := modload.Open(os.DirFS(dir), release)
	if err != nil {
		t.Fatal(err)
	}
	list, err := a.Modules(index, dir, "dummy", "bonding", "8021q", "bridge")
	if err != nil {
		t.Fatal(err)
	}
	list = strings.Replace(list, "/bonding.ko", "/bonding.ko max_bonds=0", 1)
	a.Put("modules/list", []byte(list), 0o644)
	spec.Kernel, spec.Image = filepath.Join(dir, "vmlinuz"), filepath.Join(t.TempDir(), "image")
	if err := a.Write(spec.Image); err != nil {
		t.Fatal(err)
	}
	takePlace(t, busy)
	res, err := sharedLab(t).Boot(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(res.Console, "\nlinks: status 0") || strings.Count(res.Console, "--- PASS: TestKernel") < 4 {
		t.Errorf("%s; the console:\n%s", res.End, res.Console)
	}
}
