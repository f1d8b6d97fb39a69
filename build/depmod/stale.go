package depmod

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// Stale compares modules.dep with the files that are there and the search
// order. It returns a sentence for each difference, sorted by module: a file that
// is not listed, a listed one that is missing, another file that should
// win. Only names and paths are looked at. Without a modules.dep there
// is one sentence that says so.
func Stale(fsys fs.FS, release string, conf Config) ([]string, error) {
	files, _, err := Files(fsys, release, conf)
	if err != nil {
		return nil, err
	}
	dir, err := follow(fsys, "lib/modules/"+release)
	if err != nil {
		return nil, fmt.Errorf("read modules.dep: %w", err)
	}
	text, err := fs.ReadFile(fsys, dir+"/modules.dep")
	if errors.Is(err, fs.ErrNotExist) {
		return []string{"there is no modules.dep: run depmod " + release}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read modules.dep: %w", err)
	}
	listed := make(map[string]string, len(files))
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		p, _, ok := strings.Cut(line, ":")
		if !ok {
			return nil, fmt.Errorf("read modules.dep: line %q is not \"module: modules\": run depmod %s", line, release)
		}
		p = strings.TrimPrefix(p, "/lib/modules/"+release+"/")
		listed[nameOf(p)] = p
	}
	differences := compareListed(files, listed)
	slices.Sort(differences)
	return differences, nil
}

// compareListed empties listed of what is there.
func compareListed(files []File, listed map[string]string) []string {
	var differences []string
	for _, f := range files {
		p, ok := listed[f.Name]
		delete(listed, f.Name)
		switch {
		case !ok:
			differences = append(differences, fmt.Sprintf("module %s: modules.dep lacks %s", f.Name, f.Path))
		case p != f.Path:
			differences = append(differences, fmt.Sprintf("module %s: modules.dep names %s, but %s should be taken", f.Name, p, f.Path))
		}
	}
	for name, p := range listed {
		differences = append(differences, fmt.Sprintf("module %s: modules.dep names %s, which is not there", name, p))
	}
	return differences
}
