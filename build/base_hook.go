package build

import (
	"fmt"
	"strings"
)

// A hook is the place where an initramfs lets others take part.
type hook struct {
	kind hookKind
	dir  string // where the script goes
	mute bool   // it is dracut's make, but nothing in it runs hooks
}

type hookKind uint8

const (
	_ hookKind = iota
	// hookNone: our loader runs as /init, and then the base's.
	hookNone
	// hookDracut: dracut.modules(7), pre-udev.
	hookDracut
	// hookInitramfsTools: initramfs-tools(7), scripts/init-top.
	hookInitramfsTools
)

// driversArg is how the hooks call /init's program: init.driversArg.
const driversArg = "nodisk-drivers"

// initramfsToolsDir is where initramfs-tools has the scripts that run first.
const initramfsToolsDir = "scripts/init-top"

// dracutHooks are the directories in which versions of dracut have their hooks.
func dracutHooks() []string {
	return []string{"var/lib/dracut/hooks", "usr/lib/dracut/hooks", "lib/dracut/hooks"}
}

// findHook looks whose make an unpacked image is.
func findHook(t *unpacked) (hook, error) {
	for _, dir := range dracutHooks() {
		at, n, err := t.lookup(dir, true)
		if err != nil || !n.is(typeDir) {
			continue
		}
		if !runsHooks(t) {
			return hook{kind: hookNone, mute: true}, nil
		}
		return hook{kind: hookDracut, dir: at + "/pre-udev"}, nil
	}
	if t.get("scripts/functions").is(typeFile) {
		at, n, err := t.lookup(initramfsToolsDir, true)
		if err != nil {
			return hook{}, err
		}
		if n != nil && !n.is(typeDir) {
			return hook{}, fmt.Errorf("its /%s is not a directory", at)
		}
		return hook{kind: hookInitramfsTools, dir: at}, nil
	}
	return hook{kind: hookNone}, nil
}

// runsHooks reports whether an image of dracut runs its hooks: its own init, a script,
// does, and so do the units of its module dracut-systemd. An image with systemd and without
// that module has hooks that nobody looks at.
func runsHooks(t *unpacked) bool {
	_, n, err := t.lookup(initPath, true)
	if err == nil && n.is(typeFile) && strings.HasPrefix(string(n.data[:min(len(n.data), 2)]), "#!") {
		return true
	}
	for _, dir := range []string{"usr/lib/systemd/system", "lib/systemd/system", "etc/systemd/system"} {
		if _, n, err := t.lookup(dir+"/dracut-pre-udev.service", true); err == nil && n != nil {
			return true
		}
	}
	return false
}

// The scripts of the hooks. dracut reads its own into the shell that runs its
// init: such a script must not exit. Both go on whatever becomes of ours.
const (
	dracutScript = `#!/bin/sh
# Loads the drivers that nodisk build --drivers-only put below /` + OwnDir + `.
/` + ownInit + ` ` + driversArg + ` || :
`
	initramfsToolsScript = `#!/bin/sh
# Loads the drivers that nodisk build --drivers-only put below /` + OwnDir + `.
case "$1" in
prereqs) exit 0 ;;
esac
/` + ownInit + ` ` + driversArg + ` || :
`
	// What mkinitramfs writes into ORDER for each script.
	initramfsToolsOrder = `/scripts/init-top/nodisk "$@"
[ -e /conf/param.conf ] && . /conf/param.conf
`
)

// files are those that make the base call our loader, and a sentence about it.
func (h hook) files(t *unpacked) ([]file, string) {
	switch h.kind {
	case hookDracut:
		name := h.dir + "/00-nodisk.sh"
		return []file{{name: name, mode: typeFile | 0o755, data: []byte(dracutScript), part: PartAdded}},
			"it was made by dracut, whose hook /" + name + " loads the drivers"
	case hookInitramfsTools:
		name, order := h.dir+"/nodisk", h.dir+"/ORDER"
		f := file{name: order, mode: typeFile | 0o644, data: []byte(initramfsToolsOrder), part: PartAdded}
		if old := t.get(order); old.is(typeFile) {
			f.mode = old.mode
			f.data = append(f.data, old.data...)
		}
		return []file{{name: name, mode: typeFile | 0o755, data: []byte(initramfsToolsScript), part: PartAdded}, f},
			"it was made by initramfs-tools, whose script /" + name + " loads the drivers, first in its ORDER"
	case hookNone:
	}
	if h.mute {
		return nil, "it was made by dracut with systemd, but without its module dracut-systemd, so nothing runs its " +
			"hooks: /init loads the drivers and runs /" + vendorInit
	}
	return nil, "it is neither of dracut's nor of initramfs-tools' make: /init loads the drivers and runs /" +
		vendorInit
}

// vendor is the base's /init under its other name, and a sentence about it.
func (b *base) vendor() (file, string) {
	_, n, err := b.tree.lookup(initPath, false)
	if err != nil { // it was found before
		n = &inode{}
	}
	f := file{name: vendorInit, mode: typeLink | 0o777, part: PartAdded}
	switch {
	case n.is(typeLink):
		// Both lie in /: what is relative stays so.
		f.data = []byte(n.target)
		return f, "a link to " + printable(n.target)
	case n.names > 1:
		// One more link, as hard ones cannot be made to what another archive has.
		if other := b.tree.sibling(n, initPath); other != "" {
			f.data = []byte(other)
			return f, "the same file as /" + other
		}
	}
	f.mode, f.data = n.mode, n.data
	if first, _, ok := strings.Cut(string(n.data[:min(len(n.data), 128)]), "\n"); ok && strings.HasPrefix(first, "#!") {
		return f, "a script of " + printable(strings.TrimSpace(first[2:]))
	}
	return f, "a program of " + bytesText(int64(len(n.data)))
}
