package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/init/linux"
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/internal/oldkernel"
	"github.com/nodisk/nodisk/internal/testenv"
)

// Kernels of the range that README states: calls and flags as Linux 4.18 has them, under the
// current kernel, and the oldest and the newest kernel that Debian's mirror offers. Each
// has two processors once.
func TestBootKernels(t *testing.T) {
	t.Parallel()
	current, oldest, newest := kernelDir(t), kernelOf(t, "kernel-oldest", "NODISK_KERNEL_OLDEST_DIR"), kernelOf(t,
		"kernel-newest", "NODISK_KERNEL_NEWEST_DIR")
	inOrder(t, oldest, current, newest)
	refused := regexp.QuoteMeta(oldkernel.Said)
	const old = "rdinit=/old-kernel"
	cases := []struct {
		bootCase
		kernel string
	}{
		{
			bootCase{
				name: "4.18-iscsi", spec: lab.BootSpec{CPUs: 2, Root: lab.RootISCSI, Append: old}, fs: "ext4",
				expect: []string{refused, byDHCP, mounted},
			},
			current,
		},
		{
			bootCase{
				name: "4.18-nfs", spec: lab.BootSpec{Root: lab.RootNFS3, Append: old}, fs: "nfs",
				expect: []string{refused, byDHCP, mounted},
			},
			current,
		},
		{
			bootCase{
				name: "4.18-ram", spec: lab.BootSpec{Root: lab.RootRAM, Append: old},
				expect: []string{refused, `nodisk: switch \(\d/\d\): to /sbin/init`},
			},
			current,
		},
		{
			bootCase{
				name: "oldest-iscsi", spec: lab.BootSpec{CPUs: 2, Root: lab.RootISCSI}, fs: "ext4",
				expect: []string{byDHCP, mounted},
			},
			oldest,
		},
		{
			bootCase{name: "oldest-nfs", spec: lab.BootSpec{Root: lab.RootNFS3}, fs: "nfs", expect: []string{byDHCP, mounted}},
			oldest,
		},
		{
			// Its modules are compressed, and what 6.1 loads is built in.
			bootCase{
				name: "newest-iscsi", spec: lab.BootSpec{CPUs: 2, Root: lab.RootISCSI}, fs: "ext4",
				expect: []string{byDHCP, mounted},
			},
			newest,
		},
		{
			// Not 4.2: this kernel reads with READ_PLUS, which Debian 12's nfs-ganesha garbles
			// (nfs-ganesha issue 1188).
			bootCase{
				name: "newest-nfs", fs: "nfs4", expect: []string{byDHCP, mounted},
				spec: lab.BootSpec{Root: lab.RootNFS4, Cmdline: "ip=dhcp root=nfs4:{server}:{export}:vers=4.1"},
			},
			newest,
		},
	}
	for _, c := range cases {
		needs(t, c.spec)
	}
	add, err := lab.AddFlags(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	add = append(add, "--add", oldInit(t)+":/old-kernel")
	images := make(map[string]string)
	for _, kernel := range []string{current, oldest, newest} {
		images[kernel] = buildImageOf(t, kernel, "virt,iscsi,ext4,nfs", add...)
	}
	lab := sharedLab(t)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, busy)
			s := c.spec
			s.Name, s.Kernel, s.Image = strings.ReplaceAll(c.name, ".", "-"), filepath.Join(c.kernel,
				"vmlinuz"), images[c.kernel]
			s.Timeout = 4 * time.Minute
			s.Log = testLogFile(c.name)
			res, err := lab.Boot(t.Context(), s)
			if err != nil {
				t.Fatal(err)
			}
			c.check(t, res)
		})
	}
}

// oldInit compiles the program that executes /init as Linux 4.18 would.
func oldInit(t *testing.T) string {
	t.Helper()
	gobin, err := exec.LookPath("go")
	if err != nil {
		testenv.Missing(t, "no go command in PATH, which compiles oldinit")
	}
	program := filepath.Join(t.TempDir(), "oldinit")
	compile := exec.CommandContext(t.Context(), gobin, "build", "-o", program, "./oldinit")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return program
}

// inOrder checks that the kernels are what their directories say. A mirror may lose its older
// releases, so that two of them are of one version.
func inOrder(t *testing.T, dirs ...string) {
	t.Helper()
	var before linux.Version
	for _, dir := range dirs {
		release, err := lab.KernelRelease(dir)
		if err != nil {
			t.Fatal(err)
		}
		v, ok := linux.ParseVersion(release)
		if !ok || v.Compare(before) < 0 {
			t.Fatalf("%s has Linux %s, after %v: fetch it again", dir, release, before)
		}
		before = v
		t.Log("Linux " + release)
	}
}
