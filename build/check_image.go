package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/quantity"
)

// A checkedImage is what an image has below lib/modules.
type checkedImage struct {
	name    string
	files   map[string]bool   // by path below lib/modules
	modules []abi.File        // in the order of the archives; Path is below lib/modules
	dep     map[string]string // text of modules.dep by release
}

// openCheckedImage reads the modules of an image, one after the other.
func openCheckedImage(ctx context.Context, name string) (_ checkedImage, err error) {
	c := checkedImage{name: name, files: make(map[string]bool), dep: make(map[string]string)}
	src, err := initramfs.OpenSource(ctx, name)
	if err != nil {
		return c, fmt.Errorf("read image: %w", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	image, err := initramfs.ReadSource(ctx, src, false)
	if err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	if err := c.read(ctx, image); err != nil {
		return c, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// read reads what lies below lib/modules, links followed: it is often below a link to
// usr/lib. With a base, that of nodisk is meant, which /init loads.
func (c *checkedImage) read(ctx context.Context, image *initramfs.Reader) error {
	above, dir := "", (*initramfs.Inode)(nil)
	for _, at := range []string{initramfs.OwnDir + "/" + initramfs.ModulesDir, initramfs.ModulesDir, "usr/" + initramfs.ModulesDir} {
		found, n, err := image.Tree.Lookup(at, true)
		if err == nil && n.Is(initramfs.TypeDir) {
			above, dir = found+"/", n
			break
		}
	}
	if dir == nil {
		return nil
	}
	image.Tree.Walk("", dir, func(name string, n *initramfs.Inode) {
		if n.Is(initramfs.TypeFile) {
			c.files[name] = true
		}
	})
	var indexes []string
	for name := range c.files {
		if path.Base(name) == "modules.dep" {
			indexes = append(indexes, above+name)
		}
	}
	slices.Sort(indexes)
	var buf bytes.Buffer // one for all: ko.Parse keeps none of it
	isModule := func(name string) bool {
		below, ok := strings.CutPrefix(name, above)
		return ok && strings.Contains(path.Base(below), ".ko")
	}
	err := image.Read(ctx, indexes, isModule, func(names []string, size int64, content io.Reader) error {
		m, err := initramfs.ParseModule(&buf, names[0], size, content)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for _, name := range names {
			c.modules = append(c.modules, abi.File{Path: strings.TrimPrefix(name, above), Module: m, Err: err})
		}
		return nil
	})
	for _, name := range indexes {
		c.dep[path.Dir(strings.TrimPrefix(name, above))] = string(image.Tree.Get(name).Data)
	}
	return err
}

// only is the release of the one tree in the image; empty if there are several
// or none.
func (c checkedImage) only() string {
	if len(c.dep) != 1 {
		return ""
	}
	for release := range c.dep {
		return release
	}
	return ""
}

func (c checkedImage) report(kernel abi.Kernel) abi.Report {
	dep, indexed := c.dep[kernel.Release]
	t := checkedTree{dep: dep}
	others := make(map[string]int)
	for _, f := range c.modules {
		release, rest, _ := strings.Cut(f.Path, "/")
		if _, other := c.dep[release]; other && release != kernel.Release {
			others[release]++
			continue
		}
		if release == kernel.Release {
			f.Path = rest
		}
		t.files = append(t.files, f)
	}
	for release, n := range others {
		t.findings = append(t.findings, abi.Finding{
			Severity: abi.Fault,
			Kind:     abi.WrongVermagic,
			Text: fmt.Sprintf(
				"the image has %s of Linux %s, which %s does not look at",
				quantity.Plural(n, "module"),
				release,
				kernel.Release,
			),
			Remedy: "build the image again for this kernel, or give the node the kernel of the image",
		})
	}
	if indexed {
		t.findings = append(t.findings,
			abi.CheckDep(t.dep, func(name string) bool { return c.files[kernel.Release+"/"+name] })...)
	}
	modtree.Shadow(t.files, t.dep)
	return t.report(kernel, c.name)
}
