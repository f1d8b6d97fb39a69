package server

import (
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// libraryDirs are where the loader of a 64-bit Debian looks without a cache
// (ld.so(8)): its own architecture's directories first.
func libraryDirs() []string {
	return []string{"/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu", "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
}

// cancelLibrary is what glibc opens when a program cancels a thread, which no
// ELF header tells: tgtd does so when it deletes a target.
const cancelLibrary = "libgcc_s.so.1"

var errMissing = errors.New("not found")

// SharedLibraries returns the loader and the shared libraries that an ELF
// program needs, with all that they need, sorted and without doubles: paths on
// this machine, under which the loader finds them in another root too. A
// static program and a script need none.
func SharedLibraries(program string) ([]string, error) {
	found := map[string]bool{}
	todo := []string{program}
	for len(todo) > 0 {
		path := todo[0]
		todo = todo[1:]
		needs, err := linkedTo(path)
		if err != nil {
			return nil, fmt.Errorf("find the libraries of %s: %w", program, err)
		}
		for _, n := range needs {
			if !found[n] {
				found[n] = true
				todo = append(todo, n)
			}
		}
	}
	paths := make([]string, 0, len(found))
	for p := range found {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	return paths, nil
}

// linkedTo returns the files that one ELF file names: its interpreter and the
// libraries of its DT_NEEDED entries.
func linkedTo(path string) ([]string, error) {
	f, err := elf.Open(path)
	var format *elf.FormatError
	if errors.As(err, &format) || errors.Is(err, io.EOF) {
		return nil, nil // a script
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	var paths []string
	for _, p := range f.Progs {
		if p.Type != elf.PT_INTERP {
			continue
		}
		name, err := io.ReadAll(p.Open())
		if err != nil {
			return nil, fmt.Errorf("read the interpreter's name in %s: %w", path, err)
		}
		paths = append(paths, strings.TrimRight(string(name), "\x00"))
	}
	names, err := f.ImportedLibraries()
	if err != nil {
		return nil, fmt.Errorf("read the libraries' names in %s: %w", path, err)
	}
	// Debian's own packages use RUNPATH for private directories only.
	runpath, err := f.DynString(elf.DT_RUNPATH)
	if err != nil {
		return nil, fmt.Errorf("read the library path in %s: %w", path, err)
	}
	var dirs []string
	for _, list := range runpath {
		dirs = append(dirs, strings.Split(strings.ReplaceAll(list, "$ORIGIN", filepath.Dir(path)), ":")...)
	}
	dirs = append(dirs, libraryDirs()...)
	for _, name := range names {
		lib, err := findLibrary(name, dirs)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		paths = append(paths, lib)
	}
	return paths, nil
}

func findLibrary(name string, dirs []string) (string, error) {
	for _, dir := range dirs {
		path := filepath.Join(dir, name)
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("library %s %w in %s", name, errMissing, strings.Join(dirs, " "))
}
