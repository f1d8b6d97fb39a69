package integration

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// links is an init that tells which network devices and modules there are, before
// the root's own.
const links = `#!/bin/busybox sh
b=/bin/busybox
exec </dev/console >/dev/console 2>&1
echo "nodisk-root: modules $($b awk '{ print $1 }' /proc/modules | $b tr '\n' ' ')"
echo "nodisk-root: links $($b ls /sys/class/net | $b tr '\n' ' ')"
exec /sbin/init
`

// A driver's firmware is where the kernel looks for it, and modprobe.d is heeded: its
// options, below those of the command line, softdeps, aliases and blacklists.
//
// cfg80211 asks for regulatory.db when it is loaded, without any device. What it gets
// here is no such database, and that is what it says: it found the file.
func TestBootFirmwareAndModprobe(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Root: lab.RootRAM, Static: true}
	needs(t, spec)
	kernel := kernelDir(t)
	tree := t.TempDir()
	add, err := lab.AddFlags(tree)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(tree, "sbin/links"), []byte(links),
		0o755); err != nil { //nolint:gosec // a program
		t.Fatal(err)
	}
	firmware, conf := t.TempDir(), filepath.Join(t.TempDir(), "node.conf")
	for at, text := range map[string]string{
		filepath.Join(firmware, "regulatory.db"): "no database",
		conf: "softdep rfkill post: dummy\noptions dummy numdummies=7\noptions ifb \\\n numifbs=3\n" +
			"alias wireless cfg80211\n" +
			"alias byname veth\nblacklist veth\ninstall tun /sbin/modprobe -i tun\n",
	} {
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	spec.Kernel = filepath.Join(kernel, "vmlinuz")
	spec.Image = buildImage(t, "ram", append(add, "--modprobe", conf, "--firmware", firmware, "--module",
		"wireless,ifb,veth")...)
	// "byname" leads to veth by an alias, so the blacklist holds.
	spec.Cmdline = "root=/dev/ram init=/sbin/links nodisk.modules=wireless,ifb,byname dummy.numdummies=2 " +
		"nodisk.onfail=poweroff nodisk.deadline=60s"
	spec.Timeout = 4 * time.Minute
	spec.Log = testLogFile("firmware")
	takePlace(t, busy)
	res, err := sharedLab(t).Boot(t.Context(), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%.2f s of the guest in the initramfs; %s", res.Times.Initramfs().Seconds(), res.End)
	if !res.Reached {
		t.Fatalf("the root was not reached: %s; the console's end:\n%s", res.Why, transcript.Tail(res.Console, 40))
	}
	if err := res.Expect(
		`/etc/modprobe.d/node.conf:8: install tun: nodisk does not run the command`,
		`cfg80211: loaded regulatory.db is malformed`,
	); err != nil {
		t.Error(err)
	}
	modules := said(res, "modules")
	for name, want := range map[string]bool{"cfg80211": true, "dummy": true, "ifb": true, "veth": false} {
		if slices.Contains(modules, name) != want {
			t.Errorf("module %s is loaded: %t, want %t; there are %v", name, !want, want, modules)
		}
	}
	var made []string
	for _, link := range said(res, "links") {
		if strings.HasPrefix(link, "dummy") || strings.HasPrefix(link, "ifb") {
			made = append(made, link)
		}
	}
	if want := []string{"dummy0", "dummy1", "ifb0", "ifb1", "ifb2"}; !slices.Equal(made, want) {
		t.Errorf("options made %v, want %v", made, want)
	}
}
