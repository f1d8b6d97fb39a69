package build

import (
	"fmt"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/quantity"
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
func findHook(t *initramfs.Tree) (hook, error) {
	for _, dir := range dracutHooks() {
		at, n, err := t.Lookup(dir, true)
		if err != nil || !n.Is(initramfs.TypeDir) {
			continue
		}
		if !runsHooks(t) {
			return hook{kind: hookNone, mute: true}, nil
		}
		return hook{kind: hookDracut, dir: at + "/pre-udev"}, nil
	}
	if t.Get("scripts/functions").Is(initramfs.TypeFile) {
		at, n, err := t.Lookup(initramfsToolsDir, true)
		if err != nil {
			return hook{}, err
		}
		if n != nil && !n.Is(initramfs.TypeDir) {
			return hook{}, fmt.Errorf("its /%s is not a directory", at)
		}
		return hook{kind: hookInitramfsTools, dir: at}, nil
	}
	return hook{kind: hookNone}, nil
}

// runsHooks reports whether an image of dracut runs its hooks: its own init, a script,
// does, and so do the units of its module dracut-systemd. An image with systemd and without
// that module has hooks that nobody looks at.
func runsHooks(t *initramfs.Tree) bool {
	_, n, err := t.Lookup(initramfs.InitPath, true)
	if err == nil && n.Is(initramfs.TypeFile) && strings.HasPrefix(string(n.Data[:min(len(n.Data), 2)]), "#!") {
		return true
	}
	for _, dir := range []string{"usr/lib/systemd/system", "lib/systemd/system", "etc/systemd/system"} {
		if _, n, err := t.Lookup(dir+"/dracut-pre-udev.service", true); err == nil && n != nil {
			return true
		}
	}
	return false
}

// The scripts of the hooks. dracut reads its own into the shell that runs its
// init: such a script must not exit. Both go on whatever becomes of ours.
const (
	dracutScript = `#!/bin/sh
# Loads the drivers that nodisk build --drivers-only put below /` + initramfs.OwnDir + `.
/` + ownInit + ` ` + driversArg + ` || :
`
	initramfsToolsScript = `#!/bin/sh
# Loads the drivers that nodisk build --drivers-only put below /` + initramfs.OwnDir + `.
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
func (h hook) files(t *initramfs.Tree) ([]initramfs.Entry, string) {
	switch h.kind {
	case hookDracut:
		name := h.dir + "/00-nodisk.sh"
		return []initramfs.Entry{
				{Name: name, Mode: initramfs.TypeFile | 0o755, Data: []byte(dracutScript), Part: initramfs.PartAdded},
			},
			"it was made by dracut, whose hook /" + name + " loads the drivers"
	case hookInitramfsTools:
		name, order := h.dir+"/nodisk", h.dir+"/ORDER"
		f := initramfs.Entry{
			Name: order,
			Mode: initramfs.TypeFile | 0o644,
			Data: []byte(initramfsToolsOrder),
			Part: initramfs.PartAdded,
		}
		if old := t.Get(order); old.Is(initramfs.TypeFile) {
			f.Mode = old.Mode
			f.Data = append(f.Data, old.Data...)
		}
		return []initramfs.Entry{
				{
					Name: name,
					Mode: initramfs.TypeFile | 0o755,
					Data: []byte(initramfsToolsScript),
					Part: initramfs.PartAdded,
				},
				f,
			},
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
func (b *base) vendor() (initramfs.Entry, string) {
	_, n, err := b.tree.Lookup(initramfs.InitPath, false)
	if err != nil { // it was found before
		n = &initramfs.Inode{}
	}
	f := initramfs.Entry{Name: vendorInit, Mode: initramfs.TypeLink | 0o777, Part: initramfs.PartAdded}
	switch {
	case n.Is(initramfs.TypeLink):
		// Both lie in /: what is relative stays so.
		f.Data = []byte(n.Target)
		return f, "a link to " + escape.Text(n.Target)
	case n.Names > 1:
		// One more link, as hard ones cannot be made to what another archive has.
		if other := b.tree.Sibling(n, initramfs.InitPath); other != "" {
			f.Data = []byte(other)
			return f, "the same file as /" + other
		}
	}
	f.Mode, f.Data = n.Mode, n.Data
	if first, _, ok := strings.Cut(string(n.Data[:min(len(n.Data), 128)]), "\n"); ok && strings.HasPrefix(first, "#!") {
		return f, "a script of " + escape.Text(strings.TrimSpace(first[2:]))
	}
	return f, "a program of " + quantity.Bytes(int64(len(n.Data)))
}
