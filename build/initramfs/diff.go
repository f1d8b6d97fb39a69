package initramfs

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/escape"
	"github.com/nodisk/nodisk/internal/quantity"
	"github.com/nodisk/nodisk/modload"
)

// A Difference is a file that two images do not have alike.
type Difference struct {
	Path    string // as the second image has it, the first if only that has it
	Change  Change
	Details []string // what has changed, such as "mode 0644 -> 0755"
}

// A Change is what has become of a file.
type Change uint8

// What may become of a file.
const (
	_ Change = iota
	Added
	Removed
	Changed
)

// String is how a change is printed.
func (c Change) String() string {
	switch c {
	case Added:
		return "added"
	case Removed:
		return "removed"
	case Changed:
		return "changed"
	}
	return fmt.Sprintf("Change(%d)", uint8(c))
}

// Differences are what one image has otherwise than another.
type Differences struct {
	Kernels [2]string // the releases of their modules, if these differ
	Files   []Difference
}

// Same reports whether there are none.
func (d Differences) Same() bool { return d.Files == nil && d.Kernels == [2]string{} }

// Diff compares what the kernel makes of two images: types, modes, owners, contents, targets of links,
// numbers of devices; not times, nor what is in which archive. Both must have been read with
// sums. If both have modules of one kernel, and not the same, the modules are compared by
// their paths below lib/modules/RELEASE.
func Diff(ctx context.Context, a, b *Reader) (Differences, error) {
	var d Differences
	both := [2]*Reader{a, b}
	var trees [2][]keyedFile
	for i, r := range both {
		release := ""
		if len(a.Releases) == 1 && len(b.Releases) == 1 && a.Releases[0] != b.Releases[0] {
			d.Kernels[i] = r.Releases[0]
			release = r.Releases[0]
		}
		trees[i] = r.keyed(release)
	}
	var modules [2][]*File // those of which more is to be said
	for old, now := trees[0], trees[1]; len(old)+len(now) > 0; {
		var order int
		switch {
		case len(old) == 0:
			order = 1
		case len(now) == 0:
			order = -1
		default:
			order = strings.Compare(old[0].key, now[0].key)
		}
		switch {
		case order > 0:
			d.Files = append(d.Files, Difference{
				Path: now[0].name, Change: Added,
				Details: []string{describe(now[0].n)},
			})
		case order < 0:
			d.Files = append(d.Files, Difference{
				Path: old[0].name, Change: Removed,
				Details: []string{describe(old[0].n)},
			})
		default:
			if details := compare(old[0].n, now[0].n); details != nil {
				d.Files = append(d.Files, Difference{Path: now[0].name, Change: Changed, Details: details})
				if modload.IsModule(path.Base(now[0].key)) && old[0].n.Is(TypeFile) && now[0].n.Is(TypeFile) {
					modules[0], modules[1] = append(modules[0], old[0].n.body), append(modules[1], now[0].n.body)
				}
			}
		}
		if order <= 0 {
			old = old[1:]
		}
		if order >= 0 {
			now = now[1:]
		}
	}
	slices.SortFunc(d.Files, func(x, y Difference) int {
		return cmp.Or(strings.Compare(x.Path, y.Path), cmp.Compare(x.Change, y.Change))
	})
	var facts [2]map[*File]*ko.Module
	for i, r := range both {
		var err error
		if facts[i], err = r.modinfo(ctx, modules[i]); err != nil {
			return d, err
		}
	}
	versions := make(map[string][]string)
	for i := range modules[0] {
		old, now := facts[0][modules[0][i]], facts[1][modules[1][i]]
		if old == nil || now == nil {
			continue
		}
		versions[CleanName(modules[1][i].Name)] = compareModules(old, now)
	}
	for i := range d.Files {
		f := &d.Files[i]
		if f.Change != Changed {
			continue
		}
		n := b.Tree.Get(f.Path)
		if n.Is(TypeFile) {
			f.Details = append(f.Details, versions[CleanName(n.body.Name)]...)
		}
		if f.Path == ConfigPath && n.Is(TypeFile) {
			f.Details = append(f.Details, compareLines(a.Config, b.Config)...)
		}
	}
	return d, nil
}

// A keyedFile is a file under what it is compared by.
type keyedFile struct {
	key string
	placed
}

// keyed lists a tree in the order of its paths, with the release of the kernel left out of them.
func (r *Reader) keyed(release string) []keyedFile {
	var list []keyedFile
	r.Tree.Walk("", r.Tree.Root, func(name string, n *Inode) {
		key := name
		if release != "" {
			key = strings.Replace(name+"/", ModulesDir+"/"+release+"/", ModulesDir+"//", 1)
		}
		list = append(list, keyedFile{key, placed{name, n}})
	})
	slices.SortFunc(list, func(x, y keyedFile) int { return strings.Compare(x.key, y.key) })
	return list
}

// describe says what a file is.
func describe(n *Inode) string {
	switch n.Mode & TypeMask {
	case TypeFile:
		return quantity.Bytes(n.size())
	case TypeLink:
		return "link to " + escape.Text(n.Target)
	}
	return typeText(n.Mode)
}

// compare says what differs between two files, nil if nothing does.
func compare(a, b *Inode) []string {
	var details []string
	note := func(differs bool, format string, args ...any) {
		if differs { // mostly nothing does
			details = append(details, fmt.Sprintf(format, args...))
		}
	}
	kind := a.Mode & TypeMask
	note(kind != b.Mode&TypeMask, "type %s -> %s", typeText(a.Mode), typeText(b.Mode))
	note(kind != TypeLink && (a.Mode^b.Mode)&0o7777 != 0, "mode %04o -> %04o", a.Mode&0o7777, b.Mode&0o7777)
	old, now := a.owner(), b.owner()
	note(old != now, "owner %d:%d -> %d:%d", old[0], old[1], now[0], now[1])
	if kind != b.Mode&TypeMask {
		return details
	}
	switch kind {
	case TypeFile:
		note(a.size() != b.size(), "size %d -> %d", a.size(), b.size())
		note(a.size() == b.size() && a.size() > 0 && *a.body.Sum != *b.body.Sum, "content")
	case TypeLink:
		note(a.Target != b.Target, "target %s -> %s", escape.Text(a.Target), escape.Text(b.Target))
	case TypeChar, TypeBlock:
		note(a.Major != b.Major || a.Minor != b.Minor, "device %d,%d -> %d,%d", a.Major, a.Minor, b.Major, b.Minor)
	}
	return details
}

// owner is the user and the group.
func (n *Inode) owner() [2]uint32 {
	if n.meta == nil {
		return [2]uint32{}
	}
	return [2]uint32{n.meta.UID, n.meta.GID}
}

// modinfo reads what modules say of themselves; nothing for those that cannot be read.
func (r *Reader) modinfo(ctx context.Context, files []*File) (map[*File]*ko.Module, error) {
	facts := make(map[*File]*ko.Module)
	var buf bytes.Buffer
	err := r.Each(ctx, files, func(f *File, content io.Reader) error {
		m, err := ParseModule(&buf, f.Name, f.Size, content)
		if err == nil {
			facts[f] = &ko.Module{Info: m.Info, Signature: m.Signature}
		}
		return ctx.Err()
	})
	return facts, err
}

// compareModules says which builds two modules are of.
func compareModules(a, b *ko.Module) []string {
	var details []string
	for _, key := range []string{"version", "srcversion", "vermagic"} {
		if x, y := strings.TrimSpace(a.Field(key)), strings.TrimSpace(b.Field(key)); x != y {
			details = append(details, fmt.Sprintf("%s %s -> %s", key, escape.Text(cmp.Or(x, "none")),
				escape.Text(cmp.Or(y, "none"))))
		}
	}
	if (a.Signature == nil) != (b.Signature == nil) {
		details = append(details, map[bool]string{true: "now unsigned", false: "now signed"}[b.Signature == nil])
	}
	return details
}

// compareLines lists the lines that only one of two texts has, without passwords.
func compareLines(a, b string) []string {
	var details []string
	one := func(mark, text, other string) {
		have := make(map[string]bool)
		for line := range strings.Lines(other) {
			have[strings.TrimSuffix(line, "\n")] = true
		}
		for line := range strings.Lines(text) {
			if line = strings.TrimSuffix(line, "\n"); !have[line] {
				details = append(details, mark+escape.Text(withoutPasswords(line)))
			}
		}
	}
	one("line - ", a, b)
	one("line + ", b, a)
	return details
}

// WriteText prints a line for each file: "+" added, "-" removed, "~" changed.
func (d Differences) WriteText(w io.Writer) error {
	var out strings.Builder
	if d.Kernels[0] != d.Kernels[1] {
		fmt.Fprintf(&out, "modules of Linux %s -> %s\n", escape.Text(d.Kernels[0]), escape.Text(d.Kernels[1]))
	}
	marks := map[Change]string{Added: "+", Removed: "-", Changed: "~"}
	for _, f := range d.Files {
		fmt.Fprintf(&out, "%s /%s: %s\n", marks[f.Change], escape.Text(f.Path), strings.Join(f.Details, ", "))
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// WriteJSON prints the differences as one document.
func (d Differences) WriteJSON(w io.Writer) error {
	type differenceJSON struct {
		Path    string   `json:"path"`
		Change  string   `json:"change"`
		Details []string `json:"details"`
	}
	doc := struct {
		Same    bool             `json:"same"`
		Kernels []string         `json:"kernels,omitempty"` // if they differ
		Files   []differenceJSON `json:"files"`
	}{Same: d.Same(), Files: []differenceJSON{}}
	if d.Kernels[0] != d.Kernels[1] {
		doc.Kernels = d.Kernels[:]
	}
	for _, f := range d.Files {
		doc.Files = append(doc.Files, differenceJSON{"/" + f.Path, f.Change.String(), f.Details})
	}
	return writeJSON(w, doc)
}
