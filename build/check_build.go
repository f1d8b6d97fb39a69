package build

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/internal/quantity"
)

// checkModules checks the modules of the image to be against the kernel, and
// refuses those that it would not load. Modules that came with the kernel are
// compared with each other, which takes no time. If there are others, or
// Spec.FullCheck wants it, the kernel is unpacked and its own symbols count, which takes half
// a second or more.
//
// What o offers and would mix is not refused: it is returned, to be left out.
func (b *builder) checkModules(
	ctx context.Context,
	t modtree.Dir,
	o offer,
	files ...initramfs.Entry,
) (left mixture, err error) {
	modules, err := parseModules(ctx, t, files)
	if err != nil {
		return left, err
	}
	source := kernel.Source{File: b.spec.Kernel, Release: t.Release, Tree: t.Path}
	others := foreignModules(modules, t.Release)
	full := b.spec.FullCheck || others > 0
	var (
		kernel abi.Kernel
		notes  []abi.Finding
	)
	if full {
		kernel, notes, err = source.Facts(ctx)
	} else {
		kernel, err = source.Headers(ctx)
	}
	if err != nil {
		return left, err
	}
	b.kernel, b.config = source, kernel.Config
	var shadowed []abi.File
	if full {
		if shadowed, err = t.Shadowed(ctx, modules); err != nil {
			return left, err
		}
	}
	check := func() abi.Report {
		return abi.Check(kernel, slices.Concat(modules, shadowed), abi.Config{Symbols: true})
	}
	report := check()
	for !b.spec.SkipCheck && o.mixed(&left, report.Findings, modules) {
		modules = left.drop(modules)
		report = check()
	}
	return left, b.judge(report, notes, full)
}

// judge turns findings into warnings of the report, or an error.
func (b *builder) judge(report abi.Report, notes []abi.Finding, full bool) error {
	const most = 20
	var refused []string
	for _, f := range append(report.Findings, notes...) {
		text := f.String()
		if f.Remedy != "" {
			text += ": " + f.Remedy
		}
		switch f.Severity {
		case abi.Fault:
			if b.spec.SkipCheck {
				b.report.Warnings = append(b.report.Warnings, text)
				continue
			}
			refused = append(refused, text)
		case abi.Warning:
			b.report.Warnings = append(b.report.Warnings, text)
		case abi.Note:
			if full && f.Kind == abi.Facts {
				b.report.Notes = append(b.report.Notes, f.String()+" (nodisk check --symvers can tell)")
			}
		}
	}
	if refused == nil {
		return nil
	}
	n := len(refused)
	if n > most {
		refused = append(refused[:most], fmt.Sprintf("... and %d more", n-most))
	}
	return fmt.Errorf("check modules: Linux %s would refuse them (%s; --no-check makes the image all the same):\n  %s",
		report.Release, quantity.Plural(n, "fault"), strings.Join(refused, "\n  "))
}

// parseModules parses those files that are modules, one on every processor.
func parseModules(ctx context.Context, t modtree.Dir, files []initramfs.Entry) ([]abi.File, error) {
	var modules []abi.File
	var data [][]byte
	for _, f := range files {
		if f.Part != initramfs.PartModules {
			continue
		}
		name := strings.TrimPrefix(f.Name, initramfs.ModulesDir+"/")
		modules = append(modules, abi.File{Path: strings.TrimPrefix(name, t.Release+"/")})
		data = append(data, f.Data)
	}
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < len(modules) && ctx.Err() == nil; i += workers {
				modules[i].Module, modules[i].Err = ko.Parse(data[i])
			}
			return ctx.Err()
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	// Of two of one name /init loads that of the tree.
	taken := make(map[string]bool, len(modules))
	for _, inTree := range []bool{true, false} {
		for i := range modules {
			if m := &modules[i]; inTree == treePath(m.Path) {
				m.Shadowed = !inTree && taken[m.Name()]
				taken[m.Name()] = true
			}
		}
	}
	return modules, nil
}

// treePath tells a path of the kernel's tree from one of a flat directory, which
// has no directories below it. Nothing lies in the tree's top directory itself.
func treePath(path string) bool {
	switch first, _, _ := strings.Cut(path, "/"); first {
	case "kernel", "updates", "extra", "weak-updates":
		return true
	}
	return strings.Count(path, "/") != 1
}

// foreignModules counts those that did not come with the kernel.
func foreignModules(modules []abi.File, release string) int {
	n := 0
	for _, f := range modules {
		if f.Module != nil && !f.Shadowed && (!f.Module.InTree() || f.Module.Release() != release) {
			n++
		}
	}
	return n
}
