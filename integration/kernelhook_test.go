package integration

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
)

// hookScript is the init of a Debian system: apt installs a kernel's package, and with it
// nodisk's hooks run; then kernel-install is asked for the same, and apt purges the
// package. Each line about it is "nodisk-root: SECONDS ..."; that it is reached is said last,
// because the lab gives a root that says so little time to end.
const hookScript = `#!/bin/sh
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive
exec </dev/console >/dev/console 2>&1
echo 1 >/proc/sys/kernel/printk
say() { read -r now rest </proc/uptime; echo "nodisk-root: $now $*"; }
files() { for f in /srv/tftp/*; do say "$1 ${f##*/}"; done; }
apt="apt-get -q -y -o Dpkg::Options::=--force-unsafe-io -o Dpkg::Use-Pty=0"
version=RELEASE
say begun
mkdir -p /srv/tftp
echo mine >/srv/tftp/somebodys-own-$version.img
$apt install /debs/nodisk.deb /debs/linux-base.deb /debs/linux-image.deb >/install.log 2>&1 || cat /install.log
say "package $(dpkg-query -W -f '${db:Status-Status}' linux-image-$version)"
files installed
for image in disk nfs; do
	say "profiles $(nodisk inspect /srv/tftp/$image-$version.img | grep -o 'profiles: .*')"
done
cat /var/lib/nodisk/images/$version | sed 's/^.*  /nodisk-root: x record /'
sha256sum --quiet -c /var/lib/nodisk/images/$version && say record good
kernel-install remove $version
say "kernel-install remove: $?"
files removed
kernel-install add $version /boot/vmlinuz-$version
say "kernel-install add: $?"
files added
echo changed >>/srv/tftp/nfs-$version.img
$apt purge linux-image-$version >/purge.log 2>&1 || cat /purge.log
grep 'stays:' /purge.log | sed 's/^/nodisk-root: x said /'
files purged
say done
sync
echo "` + lab.Marker + `"
echo o >/proc/sysrq-trigger
exec sleep 1000
`

// A kernel's package that apt installs in a Debian system makes all images of the site
// for that kernel, by the hooks that nodisk's package brings; purged, it takes them along,
// and nothing that somebody else has made.
func TestBootKernelHook(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Name: "kernel-hook", Root: lab.RootISCSI, Memory: 1024, Timeout: 10 * time.Minute}
	needs(t, spec)
	packages, err := filepath.Abs("../.cache/kernel-package")
	if err != nil {
		t.Fatal(err)
	}
	name, err := os.ReadFile(filepath.Join(packages, "package"))
	if err != nil {
		testenv.Missing(t, "no package of a kernel: run make kernel-package")
	}
	release := strings.TrimSpace(string(name))
	tree := debianTree(t, "bookworm")
	hookTree(t, tree, packages, release)
	spec.Kernel, spec.Image, spec.Tree = filepath.Join(kernelDir(t), "vmlinuz"), buildImage(t, "virt,iscsi,ext4"), tree
	spec.Append = "rw init=/hook-test"
	spec.Log = testLogFile(spec.Name)
	lab := sharedLab(t)
	takeLong(t)
	res, err := lab.Boot(t.Context(), spec)
	if err != nil {
		t.Fatalf("%v\n%s", err, transcript.Tail(res.Console, 60))
	}
	t.Logf("%.1f s on the host; %s", res.Times.Wall.Seconds(), res.End)
	// Without the seconds.
	var got []string
	for _, line := range res.Root.Lines {
		_, text, _ := strings.Cut(line, " ")
		got = append(got, strings.ReplaceAll(text, release, "R"))
	}
	want := []string{
		"begun", "package installed",
		"installed disk-R.img", "installed nfs-R.img", "installed somebodys-own-R.img",
		"profiles profiles: virt, iscsi, ext4", "profiles profiles: virt, nfs",
		"record /srv/tftp/disk-R.img", "record /srv/tftp/nfs-R.img", "record good",
		"kernel-install remove: 0", "removed somebodys-own-R.img",
		"kernel-install add: 0",
		"added disk-R.img", "added nfs-R.img", "added somebodys-own-R.img",
		"said warning: /srv/tftp/nfs-R.img, made for R, stays: it was changed since nodisk made it",
		"purged nfs-R.img", "purged somebodys-own-R.img", "done",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s\nthe console's end:\n%s", diff, transcript.Tail(res.Console, 60))
	}
}

// hookTree puts into a Debian system what the test of the hooks needs.
func hookTree(t *testing.T, tree, packages, release string) {
	t.Helper()
	for _, name := range []string{
		"usr/share/doc", "usr/share/man", "usr/share/locale", "var/lib/apt/lists",
		"var/cache/apt",
	} {
		if err := os.RemoveAll(filepath.Join(tree, name)); err != nil {
			t.Fatal(err)
		}
	}
	put := func(name, text string, mode os.FileMode) {
		t.Helper()
		at := filepath.Join(tree, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil { //nolint:gosec // a root's directory
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	put("hook-test", strings.ReplaceAll(hookScript, "RELEASE", release), 0o755)
	put("etc/apt/sources.list", "", 0o644)
	// An emulated processor would compress for a minute.
	put("etc/nodisk/build.yaml", "out: /srv/tftp/{image}-{kver}.img\ncompress: none\n", 0o644)
	put("etc/nodisk/images.d/disk.yaml", "profile: virt,iscsi,ext4\n", 0o644)
	put("etc/nodisk/images.d/nfs.yaml", "profile: [virt, nfs]\n", 0o644)
	debs := filepath.Join(tree, "debs")
	if err := os.Mkdir(debs, 0o755); err != nil { //nolint:gosec // a root's directory
		t.Fatal(err)
	}
	for _, name := range []string{"linux-image.deb", "linux-base.deb"} {
		if err := copyTo(filepath.Join(packages, name), filepath.Join(debs, name), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTo(nodisk(t), filepath.Join(tree, "usr/bin/nodisk"), 0o755); err != nil {
		t.Fatal(err)
	}
	nodiskPackage(t, filepath.Join(debs, "nodisk.deb"))
}

// nodiskPackage makes a package of the hooks, at the places where a real one will have them;
// the command is in the system already, because it is large. As those of dracut and
// initramfs-tools it provides what the packages of kernels depend on.
func nodiskPackage(t *testing.T, deb string) {
	t.Helper()
	dir := t.TempDir()
	control := "Package: nodisk\nVersion: 0\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\n" +
		"Provides: linux-initramfs-tool\nDescription: nodisk's hooks, for a test\n"
	for name, from := range map[string]string{
		"etc/kernel/postinst.d/zz-nodisk":            "../scripts/hooks/postinst.d/zz-nodisk",
		"etc/kernel/postrm.d/zz-nodisk":              "../scripts/hooks/postrm.d/zz-nodisk",
		"usr/lib/kernel/install.d/95-nodisk.install": "../scripts/hooks/install.d/95-nodisk.install",
	} {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil { //nolint:gosec // a package's directory
			t.Fatal(err)
		}
		if err := copyTo(from, at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "DEBIAN"), 0o755); err != nil { //nolint:gosec // dpkg-deb insists
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "DEBIAN/control"), []byte(control),
		0o644); err != nil { //nolint:gosec // a package's
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "dpkg-deb", "--root-owner-group", "-Znone", "-b",
		dir, deb).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, out)
	}
}

// The hooks and what they call, with a command that only says how it was called.
func TestHookScripts(t *testing.T) {
	dir := t.TempDir()
	fake := filepath.Join(dir, "nodisk")
	if err := os.WriteFile(fake, []byte("#!/bin/sh\necho \"$@\"\nexit $STATUS\n"),
		0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	const (
		plugin  = "install.d/95-nodisk.install"
		made    = "build --all --quiet --kver 6.1\n"
		cleaned = "clean --quiet --sysroot / --kver 6.1\n"
	)
	for _, tt := range []struct {
		script string
		args   string // between bars
		env    string
		want   string
		status int
	}{
		{"postinst.d/zz-nodisk", "6.1|/boot/vmlinuz-6.1", "DEB_MAINT_PARAMS=configure 6.0", made, 0},
		{"postinst.d/zz-nodisk", "6.1|/boot/vmlinuz-6.1", "DEB_MAINT_PARAMS='configure' ''", made, 0},
		{"postinst.d/zz-nodisk", "6.1", "", made, 0},
		{"postinst.d/zz-nodisk", "6.1", "DEB_MAINT_PARAMS=abort-upgrade 6.0", "", 0},
		{"postinst.d/zz-nodisk", "6.1", "STATUS=1", made, 1}, // the package's installation fails with it
		{"postinst.d/zz-nodisk", "", "", "", 2},
		{"postinst.d/zz-nodisk", "6.1", "PATH=/usr/bin:/bin", "", 0}, // removed, and not purged
		{"postrm.d/zz-nodisk", "6.1|/boot/vmlinuz-6.1", "DEB_MAINT_PARAMS=remove", cleaned, 0},
		{"postrm.d/zz-nodisk", "6.1|/boot/vmlinuz-6.1", "DEB_MAINT_PARAMS=purge", cleaned, 0},
		{"postrm.d/zz-nodisk", "6.1", "DEB_MAINT_PARAMS=upgrade 6.0", "", 0},
		{"postrm.d/zz-nodisk", "6.1", "STATUS=1", cleaned, 1},
		{plugin, "add|6.1|/boot/x/6.1|/usr/lib/modules/6.1/vmlinuz", "", "build --all --quiet --kver 6.1 --kernel " +
			"/usr/lib/modules/6.1/vmlinuz\n", 0},
		{
			plugin, "add|6.1|/boot/x/6.1|/a b/vmlinuz", "KERNEL_INSTALL_VERBOSE=1",
			"build --all --kver 6.1 --kernel /a b/vmlinuz\n", 0,
		},
		{plugin, "remove|6.1|/boot/x/6.1", "", cleaned, 0},
		{plugin, "add|6.1|/boot/x/6.1", "STATUS=1", made, 1},
		{plugin, "other|6.1", "", "", 0},
	} {
		cmd := exec.CommandContext(t.Context(), "../scripts/hooks/"+tt.script,
			strings.FieldsFunc(tt.args, func(r rune) bool { return r == '|' })...)
		cmd.Env = []string{"PATH=" + dir + ":/usr/bin:/bin", "STATUS=0"}
		if tt.env != "" {
			cmd.Env = append(cmd.Env, tt.env)
		}
		out, _ := cmd.CombinedOutput() // its status is looked at
		got := string(out)
		if tt.status == 2 {
			got = ""
		}
		if status := cmd.ProcessState.ExitCode(); got != tt.want || status != tt.status {
			t.Errorf("%s %v, %s: status %d: %s", tt.script, tt.args, tt.env, status, out)
		}
	}
}

// kernel-install(8) runs its plugins by their names and ends with the first that fails: an image for nodes must not
// keep the machine that makes it from booting its new kernel.
func TestHookPluginOrder(t *testing.T) {
	plugins, err := filepath.Glob("../scripts/hooks/install.d/*")
	if err != nil || len(plugins) != 1 {
		t.Fatalf("%v, %v", plugins, err)
	}
	for _, before := range []string{
		"50-depmod", "50-dracut", "60-ukify", "85-initrd", "90-loaderentry",
		"90-uki-copy",
	} {
		if name := filepath.Base(plugins[0]); name < before+".install" {
			t.Errorf("%s is run before %s", name, before)
		}
	}
}

// What the scripts of this repository's hooks are written in.
func TestHookScriptsLint(t *testing.T) {
	shellcheck, err := exec.LookPath("shellcheck")
	if err != nil {
		testenv.Missing(t, "no shellcheck: install the package shellcheck")
	}
	scripts, err := filepath.Glob("../scripts/hooks/*/*")
	if err != nil || len(scripts) != 3 {
		t.Fatalf("%v, %v", scripts, err)
	}
	args := append(slices.Clone(scripts), "../scripts/fetch-kernel-package")
	if out, err := exec.CommandContext(t.Context(), shellcheck, args...).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
