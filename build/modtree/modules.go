package modtree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/infile"
	"github.com/nodisk/nodisk/modload"
	"github.com/nodisk/nodisk/modload/unpack"
)

// A File is a module on disk.
type File struct {
	path string // as abi.File has it
	at   string // on disk
}

// Files lists the modules of a tree. Links of weak-updates lead into other
// trees below the same root, whatever root that is; one that leads nowhere is a finding.
func (t Dir) Files() ([]File, []abi.Finding, error) {
	var (
		files    []File
		findings []abi.Finding
	)
	root, ok := strings.CutSuffix(t.Path, "/"+initramfs.ModulesDir+"/"+t.Release)
	if root = strings.TrimSuffix(root, "/usr"); !ok {
		root = "" // the tree lies apart: its links mean this machine
	}
	err := filepath.WalkDir(t.Path, func(at string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() || !modload.IsModule(d.Name()) {
			return nil
		}
		path, err := filepath.Rel(t.Path, at)
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			target, err := os.Readlink(at)
			if err != nil {
				return err
			}
			if filepath.IsAbs(target) {
				at = filepath.Join(root, target) // root may be empty
			}
			if !exists(at) {
				findings = append(findings, abi.Finding{
					Severity: abi.Warning, Kind: abi.Dangling, Module: ko.ModuleName(path), Path: path,
					Text: fmt.Sprintf("it is a link to %s, which is not there", target),
					Remedy: "install the package of that kernel again, or take the link away (weak-modules " +
						"--remove-modules) and run depmod",
				})
				return nil
			}
		}
		files = append(files, File{path: filepath.ToSlash(path), at: at})
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read modules: %w", err)
	}
	return files, findings, nil
}

func exists(at string) bool {
	_, err := os.Stat(at)
	return err == nil
}

// ParseFiles reads and parses modules, one on every processor. What cannot be
// read is in the files' Err.
func ParseFiles(ctx context.Context, list []File) ([]abi.File, error) {
	files := make([]abi.File, len(list))
	workers := runtime.GOMAXPROCS(0)
	group, ctx := errgroup.WithContext(ctx)
	for w := range workers {
		group.Go(func() error {
			var buf bytes.Buffer // one for all: Parse keeps none of it
			for i := w; i < len(list); i += workers {
				if err := ctx.Err(); err != nil {
					return err
				}
				files[i].Path = list[i].path
				buf.Reset()
				if err := readPlain(&buf, list[i].at); err != nil {
					files[i].Err = err
					continue
				}
				files[i].Module, files[i].Err = ko.Parse(buf.Bytes())
			}
			return nil
		})
	}
	return files, group.Wait()
}

// readPlain reads a module, unpacked.
func readPlain(buf *bytes.Buffer, at string) error {
	f, err := infile.Regular(at)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // nothing was written
	plain, err := unpack.Module(at, f)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if info, err := f.Stat(); err == nil && plain == io.Reader(f) {
		buf.Grow(int(min(info.Size(), moduleMax)) + bytes.MinRead)
	}
	n, err := io.Copy(buf, io.LimitReader(plain, moduleMax+1))
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if n > moduleMax {
		return fmt.Errorf("more than %d MiB", moduleMax>>20)
	}
	return nil
}

// Shadow marks the files that modprobe does not take: those whose name
// modules.dep gives to another file, and of names it does not know all but the
// first by depmod's usual order.
func Shadow(files []abi.File, dep string) {
	listed := make(map[string]string) // name to path
	for line := range strings.Lines(dep) {
		if path, _, ok := strings.Cut(line, ":"); ok {
			if i := strings.LastIndex(path, initramfs.ModulesDir+"/"); i >= 0 { // absolute: depmod before kmod
				_, path, _ = strings.Cut(path[i+len(initramfs.ModulesDir)+1:], "/")
			}
			listed[ko.ModuleName(path)] = path
		}
	}
	best := make(map[string]int)
	for i := range files {
		name := files[i].Name()
		if path, ok := listed[name]; ok {
			files[i].Shadowed = path != files[i].Path
			continue
		}
		other, twice := best[name]
		switch {
		case !twice:
			best[name] = i
		case rank(files[i].Path) < rank(files[other].Path):
			best[name], files[other].Shadowed = i, true
		default:
			files[i].Shadowed = true
		}
	}
}

// rank is the search order of distributions (depmod.d(5)) by a path's first
// directory.
func rank(path string) int {
	first, _, _ := strings.Cut(path, "/")
	switch first {
	case "updates":
		return 0
	case "extra":
		return 1
	case "kernel":
		return 2
	case "weak-updates":
		return 3
	}
	return 4
}

// ReadDep is the text of modules.dep, empty if there is none.
func (t Dir) ReadDep() (string, error) {
	data, err := os.ReadFile(filepath.Join(t.Path, "modules.dep"))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read modules: %w", err)
	}
	return string(data), nil
}

// Shadowed are the files of a tree that are not taken because others of their names are: one of
// them may have a symbol that a module of the image misses, which nothing else would tell.
func (t Dir) Shadowed(ctx context.Context, taken []abi.File) ([]abi.File, error) {
	if t.Path == "" {
		return nil, nil
	}
	list, _, err := t.Files()
	if err != nil {
		return nil, err
	}
	at := make(map[string]string, len(taken)) // by name
	for i := range taken {
		if !taken[i].Shadowed {
			at[taken[i].Name()] = PlainPath(taken[i].Path)
		}
	}
	list = slices.DeleteFunc(list, func(f File) bool {
		have, ok := at[ko.ModuleName(f.path)]
		return !ok || have == PlainPath(f.path)
	})
	files, err := ParseFiles(ctx, list)
	for i := range files {
		files[i].Shadowed = true
	}
	return files, err
}
