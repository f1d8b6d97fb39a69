package modtree

import (
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/depmod"
	"github.com/nodisk/nodisk/build/initramfs"
)

// root is the file system in which the tree is lib/modules/RELEASE: all of it
// where the tree lies so, with the links of weak-updates and depmod.d; else only
// the tree.
func (t Dir) root() fs.FS {
	if root, ok := strings.CutSuffix(t.Path, "/"+initramfs.ModulesDir+"/"+t.Release); ok {
		return os.DirFS(root + "/")
	}
	return t
}

// Has reports whether a file that modules.dep names is there. Paths are absolute
// for modules of external directories (depmod.d(5)), and were for all before kmod.
func (t Dir) Has(list []File) func(path string) bool {
	there := make(map[string]bool, len(list))
	for _, f := range list {
		there[f.path] = true
	}
	root := t.root()
	return func(path string) bool {
		path = strings.TrimPrefix(path, "/"+initramfs.ModulesDir+"/"+t.Release+"/")
		if there[path] || !strings.HasPrefix(path, "/") {
			return there[path]
		}
		_, err := fs.Stat(root, path[1:])
		return err == nil
	}
}

// Stale says what modules.dep does not say as the files are. If there is no modules.dep, it returns one
// that has only the names: which files count.
func (t Dir) Stale(dep string) (string, []abi.Finding) {
	warn := func(text, remedy string) abi.Finding {
		return abi.Finding{Severity: abi.Warning, Kind: abi.Stale, Text: text, Remedy: remedy}
	}
	var found []abi.Finding
	root := t.root()
	conf, err := depmod.ReadConfig(root)
	if err != nil {
		found = append(found, warn(err.Error(), "mend the file: depmod reads it too"))
	}
	if dep == "" {
		files, _, err := depmod.Files(root, t.Release, conf)
		if err != nil {
			return "", append(found, warn(err.Error(), ""))
		}
		var names strings.Builder
		for _, f := range files {
			fmt.Fprintf(&names, "%s:\n", f.Path)
		}
		return names.String(), append(found, warn(t.Path+" has no modules.dep", "run "+t.depmod()))
	}
	differences, err := depmod.Stale(root, t.Release, conf)
	if err != nil {
		return dep, append(found, warn(err.Error(), "run "+t.depmod()))
	}
	for _, text := range differences {
		if strings.HasSuffix(text, ", which is not there") {
			continue // a fault, by abi.CheckDep
		}
		f := warn(text, "run "+t.depmod())
		// "module NAME: what is different"
		if name, rest, ok := strings.Cut(strings.TrimPrefix(text, "module "), ": "); ok {
			f.Module, f.Text = name, rest
		}
		found = append(found, f)
	}
	return dep, found
}
