package depmod

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// A Difference is a module of which modules.dep does not say what the files of the tree do. Paths are as in
// modules.dep.
type Difference struct {
	Module string // with underscores
	Listed string // the file that modules.dep names; empty: none
	File   string // the file that depmod would take; empty: none is there
}

// String is a sentence for the administrator.
func (d Difference) String() string {
	switch {
	case d.Listed == "":
		return fmt.Sprintf("module %s: modules.dep lacks %s", d.Module, d.File)
	case d.File == "":
		return fmt.Sprintf("module %s: modules.dep names %s, which is not there", d.Module, d.Listed)
	}
	return fmt.Sprintf("module %s: modules.dep names %s, but %s should be taken", d.Module, d.Listed, d.File)
}

// Stale is Compare in sentences. Without a modules.dep there
// is one sentence that says so.
func Stale(fsys fs.FS, release string, conf Config) ([]string, error) {
	differences, err := Compare(fsys, release, conf)
	if errors.Is(err, errNoDep) {
		return []string{"there is no modules.dep: run depmod " + release}, nil
	}
	if err != nil {
		return nil, err
	}
	var sentences []string
	for _, d := range differences {
		sentences = append(sentences, d.String())
	}
	slices.Sort(sentences)
	return sentences, nil
}

var errNoDep = errors.New("there is no modules.dep")

// Compare compares modules.dep with the files that are there and the search
// order, and returns what differs, sorted by module: a file that
// is not listed, a listed one that is missing, another file that should
// win. Only names and paths are looked at: no module is read.
func Compare(fsys fs.FS, release string, conf Config) ([]Difference, error) {
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
		return nil, errNoDep
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
	return compareListed(files, listed), nil
}

// compareListed empties listed of what is there.
func compareListed(files []File, listed map[string]string) []Difference {
	var differences []Difference
	for _, f := range files {
		p := listed[f.Name]
		delete(listed, f.Name)
		if p != f.Path {
			differences = append(differences, Difference{Module: f.Name, Listed: p, File: f.Path})
		}
	}
	for name, p := range listed {
		differences = append(differences, Difference{Module: name, Listed: p})
	}
	slices.SortFunc(differences, func(a, b Difference) int { return strings.Compare(a.Module, b.Module) })
	return differences
}
