package modtree

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/nodisk/nodisk/modload"
)

// FlatFiles lists the modules of a flat directory.
func FlatFiles(dir string) ([]File, error) {
	names, err := FlatNames(dir)
	if err != nil {
		return nil, fmt.Errorf("read module directory: %w", err)
	}
	if names == nil {
		return nil, fmt.Errorf("read module directory %s: no module (.ko, .ko.xz, .ko.zst, .ko.gz) lies in it", dir)
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("read module directory: %w", err)
	}
	files := make([]File, 0, len(names))
	for _, name := range names {
		files = append(files, File{path: filepath.Base(abs) + "/" + name, at: filepath.Join(abs, name)})
	}
	return files, nil
}

// FlatNames are the names of the modules that lie in a directory itself, sorted.
func FlatNames(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && modload.IsModule(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
