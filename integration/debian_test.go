package integration

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/internal/userns"
)

// debianTree unpacks a stock tree of a suite of Debian, as "make debian" has fetched it, with its owners and device
// nodes.
func debianTree(t *testing.T, suite string) string {
	t.Helper()
	if os.Geteuid() != 0 || userns.Inside() {
		testenv.Needs(t, false, "a tree with owners and device nodes is unpacked by root")
	}
	tree := t.TempDir()
	err := lab.UnpackDebian(t.Context(), "../.cache", suite, tree)
	if errors.Is(err, lab.ErrNoDebian) {
		testenv.Missing(t, err.Error())
	}
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// writeTree makes the files of a tree, whose programs are in sbin directories.
func writeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		at := filepath.Join(dir, name)
		mode := os.FileMode(0o644)
		if filepath.Base(filepath.Dir(name)) == "sbin" {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// A stock Debian is a root in RAM: systemd comes up as far as it does on a disk, with all that the tree has.
func TestBootDebianInRAM(t *testing.T) {
	t.Parallel()
	for _, suite := range []string{"bookworm", "trixie"} {
		t.Run(suite, func(t *testing.T) {
			t.Parallel()
			spec := lab.BootSpec{
				Name: suite, Root: lab.RootRAM, Memory: 768, Timeout: 8 * time.Minute, Log: testLogFile("debian-" + suite),
				Until: `reboot: Power down`, // the report ends it, not the first prompt
			}
			needs(t, spec)
			give := takePlace(t, busy)
			tree := debianTree(t, suite)
			give()
			report := writeTree(t, map[string]string{
				"usr/local/sbin/report":             debianReport,
				"etc/systemd/system/report.service": reportUnit,
			})
			wants := filepath.Join(report, "etc/systemd/system/multi-user.target.wants")
			if err := os.Mkdir(wants, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("../report.service", filepath.Join(wants, "report.service")); err != nil {
				t.Fatal(err)
			}
			spec.Kernel = filepath.Join(kernelDir(t), "vmlinuz")
			spec.Image = buildImage(t, "virt,ram", "--module", "dummy", "--add", tree+":/", "--add", report+":/")
			if err := os.RemoveAll(tree); err != nil { // the tests beside this need room too
				t.Fatal(err)
			}
			takeLong(t)
			res, err := sharedLab(t).Boot(t.Context(), spec)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("multi-user.target after %.1f s on the host; %s", res.Times.WallReached.Seconds(),
				strings.Join(res.Root.Lines, "; "))
			if err := res.Expect(`nodisk: switch \(3/3\): to /sbin/init of the initramfs`); err != nil {
				t.Error(err)
			}
			if !res.Reached {
				t.Fatalf("multi-user.target was not reached: %s; the console's end:\n%s",
					res.Why, transcript.Tail(res.Console, 40))
			}
			for _, want := range []string{
				"target active", "failed none", "bin usr/bin", "driver virtio_net", "modprobe dummy",
				// Owners, setgid, and a program of two names: what an image holds of a tree is what the tree is.
				"checker 0:42 2755", "mail 0:8 2775", "perl 2", "apt 42:0 700",
			} {
				if !slices.Contains(res.Root.Lines, want) {
					t.Errorf("the root does not say %q, but:\n%s", want, strings.Join(res.Root.Lines, "\n"))
				}
			}
		})
	}
}

// reportUnit begins when multi-user.target has been reached: by its own ordering, which systemd heeds before its
// default (systemd.target(5)).
const reportUnit = `[Unit]
Description=Report to the test
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/usr/local/sbin/report
`

// debianReport tells about the system and switches off.
const debianReport = `#!/bin/sh
exec >/dev/console 2>&1
echo
say() { echo "nodisk-root: $*"; }
say target $(systemctl is-active multi-user.target)
failed=$(systemctl --failed --plain --no-legend --no-pager)
say failed ${failed:-none}
say bin $(readlink /bin)
say driver $(awk '$1 == "virtio_net" { print $1 }' /proc/modules)
modprobe dummy && say modprobe $(awk '$1 == "dummy" { print $1 }' /proc/modules)
say checker $(stat -c '%u:%g %a' /usr/sbin/unix_chkpwd)
say mail $(stat -c '%u:%g %a' /var/mail)
say perl $(stat -c %h /usr/bin/perl)
say apt $(stat -c "%u:%g %a" /var/lib/apt/lists/partial)
say root $(stat -f -c %T /)
say memory $(awk '/^MemTotal/ { t = $2 } /^MemAvailable/ { print t, t - $2 }' /proc/meminfo)
echo "<1>nodisk-root: reached" >/dev/kmsg
exec systemctl poweroff --force --force
`
