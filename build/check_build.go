package build

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/ko"
)

// checkModules checks the modules of the image to be against the kernel, and
// refuses those that it would not load. Modules that came with the kernel are
// compared with each other, which takes no time. If there are others, or
// Spec.FullCheck wants it, the kernel is unpacked and its own symbols count, which takes half
// a second or more.
//
// What o offers and would mix is not refused: it is returned, to be left out.
func (b *builder) checkModules(ctx context.Context, t tree, o offer, files ...file) (left mixture, err error) {
	modules, err := parseModules(ctx, t, files)
	if err != nil {
		return left, err
	}
	source := kernelSource{file: b.spec.Kernel, release: t.release, tree: t.dir}
	others := foreignModules(modules, t.release)
	full := b.spec.FullCheck || others > 0
	var (
		kernel abi.Kernel
		notes  []abi.Finding
	)
	if full {
		kernel, notes, err = source.facts(ctx)
	} else {
		kernel, err = source.headers(ctx)
	}
	if err != nil {
		return left, err
	}
	b.kernel, b.config = source, kernel.Config
	var shadowed []abi.File
	if full {
		if shadowed, err = t.shadowed(ctx, modules); err != nil {
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
		report.Release, plural(n, "fault"), strings.Join(refused, "\n  "))
}

// shadowed are the files of a tree that are not taken because others of their names are: one of
// them may have a symbol that a module of the image misses, which nothing else would tell.
func (t tree) shadowed(ctx context.Context, taken []abi.File) ([]abi.File, error) {
	if t.dir == "" {
		return nil, nil
	}
	list, _, err := t.files()
	if err != nil {
		return nil, err
	}
	at := make(map[string]string, len(taken)) // by name
	for i := range taken {
		if !taken[i].Shadowed {
			at[taken[i].Name()] = plainPath(taken[i].Path)
		}
	}
	list = slices.DeleteFunc(list, func(f moduleFile) bool {
		have, ok := at[moduleName(f.path)]
		return !ok || have == plainPath(f.path)
	})
	files, err := parseFiles(ctx, list)
	for i := range files {
		files[i].Shadowed = true
	}
	return files, err
}

// parseModules parses those files that are modules, one on every processor.
func parseModules(ctx context.Context, t tree, files []file) ([]abi.File, error) {
	var modules []abi.File
	var data [][]byte
	for _, f := range files {
		if f.part != PartModules {
			continue
		}
		name := strings.TrimPrefix(f.name, modulesDir+"/")
		modules = append(modules, abi.File{Path: strings.TrimPrefix(name, t.release+"/")})
		data = append(data, f.data)
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
