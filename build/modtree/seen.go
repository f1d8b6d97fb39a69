package modtree

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/build/depmod"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/quantity"
)

// A sight says whether depmod had a file before it when it wrote modules.dep.
type sight int

const (
	missed      sight = iota // it came, or became what it is, later
	saw                      // depmod chose another, by a search order of its machine that is not known here
	likelySaw                // by its time of modification alone
	maybeMissed              // by its time of modification, or no time says anything
)

// fileTimes are those of a file: of its content, and of whatever is known of it (name, mode, owner), which is when
// it came to where it is.
type fileTimes struct{ modified, changed time.Time }

// judge says whether depmod has seen a file. read are files that depmod has read: where all of them came before it
// wrote modules.dep, the tree is where depmod ran, and when the file came decides, whatever time an archive has
// given its content.
//
// Else the tree is a copy (cp -a, rsync, tar, a layer of a container): all of it came later than modules.dep was
// written. Then only times of modification are left, which such a copy has from its original, and by which it makes
// the same image. Where what depmod has read is not older either, copying has lost them (cp -r, git).
func judge(file, dep fileTimes, read ...fileTimes) sight {
	moved, lost := false, false
	for _, r := range read {
		moved = moved || r.changed.After(dep.modified)
		lost = lost || !r.modified.Before(dep.modified)
	}
	switch {
	case !moved && file.changed.Before(dep.modified):
		return saw
	case !moved:
		return missed
	case !lost && file.modified.Before(dep.modified):
		return likelySaw
	}
	return maybeMissed
}

// sees says whether depmod has seen the file that it would take now.
func (t Dir) sees(root fs.FS, d depmod.Difference) sight {
	times := func(info fs.FileInfo, err error) (fileTimes, error) {
		if err != nil {
			return fileTimes{}, err
		}
		return fileTimes{modified: info.ModTime(), changed: lastChange(info)}, nil
	}
	module := func(file string) (fileTimes, error) {
		at := initramfs.ModulesDir + "/" + t.Release + "/" + file
		if strings.HasPrefix(file, "/") {
			at = file[1:]
		}
		f, err := depmod.Open(root, at)
		if err != nil {
			return fileTimes{}, err
		}
		defer f.Close() //nolint:errcheck // nothing was written
		return times(f.Stat())
	}
	if d.Listed == "" {
		return missed
	}
	listed, listedErr := module(d.Listed)
	file, fileErr := module(d.File)
	dep, depErr := times(os.Stat(filepath.Join(t.Path, "modules.dep")))
	if errors.Join(listedErr, fileErr, depErr) != nil {
		return missed // the choice of depmod is gone
	}
	read := []fileTimes{listed}
	for _, name := range []string{"modules.order", "modules.builtin"} { // the kernel's own, not of depmod
		if r, err := times(os.Stat(filepath.Join(t.Path, name))); err == nil {
			read = append(read, r)
		}
	}
	return judge(file, dep, read...)
}

// A staleModule is one of which modules.dep does not say what depmod would say now.
type staleModule struct {
	depmod.Difference

	sight sight
}

// taken reports whether the file is in the image that depmod would take now.
func (m staleModule) taken() bool { return m.sight == missed || m.sight == maybeMissed }

// keepChoice is a line of depmod.d by which depmod chooses again what it has chosen.
func keepChoice(d depmod.Difference) depmod.Override {
	name, _, _ := strings.Cut(path.Base(d.Listed), ".ko")
	return depmod.Override{Module: name, Kernel: "*", Dir: path.Dir(d.Listed)}
}

const staleShown = 3 // of these modules, one by one

// StaleWarnings tells what of an image is another file than modules.dep says, and how the node's root will
// load it too.
func (t Dir) StaleWarnings(holds func(module string) bool) []string {
	var warnings []string
	var others []staleModule
	inside := 0
	has := func(list []staleModule) string {
		if slices.ContainsFunc(list, func(m staleModule) bool { return m.sight == missed }) {
			return "has not"
		}
		return "may not have"
	}
	for _, d := range t.differences {
		switch {
		case !d.taken():
			continue
		case !holds(d.Module):
			others = append(others, d)
			continue
		}
		if inside++; inside > staleShown {
			continue
		}
		text := fmt.Sprintf("module %s: %s is in the image, which modules.dep does not know", d.Module, d.File)
		if d.Listed != "" {
			text = fmt.Sprintf("module %s: %s is in the image, not %s, which modules.dep names",
				d.Module, d.File, d.Listed)
		}
		warnings = append(warnings, fmt.Sprintf("%s: depmod %s run since it came; run %s, also in the node's root, "+
			"which loads by its own",
			text, has([]staleModule{d}), t.depmod()))
	}
	if inside > staleShown {
		warnings = append(warnings, fmt.Sprintf("so it is with %d more modules of the image: run %s",
			inside-staleShown, t.depmod()))
	}
	if len(others) > 0 && inside == 0 {
		warnings = append(warnings, fmt.Sprintf("modules.dep of %s is stale: depmod %s seen %s (%s); none of it is "+
			"in the image; run %s",
			t.Path, has(others), quantity.Plural(len(others), "module file"), others[0].File, t.depmod()))
	}
	return warnings
}

// StaleNotes tells which files an image has because modules.dep of a copied tree names them.
func (t Dir) StaleNotes(holds func(module string) bool) []string {
	var notes []string
	inside := 0
	for _, d := range t.differences {
		if d.sight != likelySaw || !holds(d.Module) {
			continue
		}
		if inside++; inside <= staleShown {
			notes = append(notes, fmt.Sprintf("module %s: %s is in the image, which modules.dep names, not %s, which "+
				"is older than that: "+
				"if depmod has not run since that came, run %s", d.Module, d.Listed, d.File, t.depmod()))
		}
	}
	if inside > staleShown {
		notes = append(notes, fmt.Sprintf("so it is with %d more modules of the image", inside-staleShown))
	}
	return notes
}
