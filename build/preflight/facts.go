package preflight

import (
	"bytes"
	"context"
	"io"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
)

// factsMax bounds a module whose file is looked into. Nothing is known about a larger one.
const factsMax = 128 << 20

// initHead is how much of an /init says what it is, in bytes.
const initHead = 80

// look goes through the image: it loads files by name, reads what plain modules say about
// themselves, one after the other, and the beginning of an /init that is not ours.
func (i *Image) look(ctx context.Context, r *initramfs.Reader, load []string) error {
	i.facts = make(map[string]*ko.Module)
	initAt := ""
	if !i.ours {
		initAt, _ = r.RealPath("init")
	}
	want := func(name string) bool { return name == initAt || isPlainModule(name) }
	var buf bytes.Buffer // one for all: ko.Parse keeps nothing of it
	return r.Read(ctx, load, want, func(names []string, size int64, content io.Reader) error {
		if slices.Contains(names, initAt) {
			i.init = make([]byte, min(size, initHead))
			if _, err := io.ReadFull(content, i.init); err != nil {
				return err
			}
			content = io.MultiReader(bytes.NewReader(i.init), content) // it may be a module by another name
		}
		names = slices.DeleteFunc(names, func(name string) bool { return !isPlainModule(name) })
		if len(names) == 0 || size > factsMax {
			return nil
		}
		buf.Reset()
		buf.Grow(int(size) + bytes.MinRead)
		if _, err := buf.ReadFrom(content); err != nil {
			return err
		}
		m, err := ko.Parse(buf.Bytes())
		if err != nil {
			return nil //nolint:nilerr // build.Check says what is wrong with it
		}
		for _, name := range names {
			i.facts[name] = &ko.Module{Name: m.Name, Arch: m.Arch, Info: m.Info}
		}
		return nil
	})
}

// isPlainModule reports by its path whether a file is a module that is not compressed.
func isPlainModule(name string) bool {
	return strings.HasSuffix(name, ".ko") && strings.Contains("/"+name, "/"+modulesDir+"/")
}

// fact is what a plain module says about itself, nil if that is not known.
func (i *Image) fact(at string) *ko.Module {
	without, _ := i.realPath(i.above + at)
	return i.facts[without]
}
