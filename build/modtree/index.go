package modtree

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/depmod"
	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/modload"
)

// ReduceIndexes returns the indexes of a tree (modules.dep(5)) reduced to the
// modules of an image. keep tells by name, spelled with underscores.
//
// Besides modload's companions there may be more of an inventory.
//
// The kernel's own indexes stay whole where they say what is built in:
// whoever asks for such a module must learn that it is there.
func ReduceIndexes(
	fsys fs.FS,
	release string,
	keep func(module string) bool,
	more ...modload.Companion,
) ([]initramfs.Entry,
	error,
) {
	kept := func(word string) bool { return keep(ko.ModuleName(word)) }
	dir := initramfs.ModulesDir + "/" + release + "/"
	var files []initramfs.Entry
	for _, index := range []struct {
		name   string
		reduce func(text string) string
	}{
		{"modules.dep", func(text string) string { return reduceDep(text, dir, kept) }},
		{"modules.alias", func(text string) string {
			return lines(text, func(words []string) bool { // alias PATTERN MODULE
				return len(words) >= 3 && words[0] == "alias" && kept(words[len(words)-1])
			})
		}},
		{softdepFile, func(text string) string {
			// softdep MODULE pre: A post: B
			return companions(keep, more...) + firstExtras(keep) + lines(text, func(words []string) bool {
				return len(words) >= 3 && words[0] == "softdep" && kept(words[1])
			})
		}},
		{"modules.weakdep", func(text string) string {
			return lines(text, func(words []string) bool { // weakdep MODULE OTHER
				return len(words) >= 3 && words[0] == "weakdep" && kept(words[1]) && kept(words[2])
			})
		}},
		{"modules.order", func(text string) string {
			return lines(text, func(words []string) bool { return len(words) == 1 && kept(words[0]) })
		}},
		{"modules.builtin", func(text string) string { return text }},
		{"modules.builtin.modinfo", reduceModinfo},
	} {
		text, err := fs.ReadFile(fsys, dir+index.name)
		missing := errors.Is(err, fs.ErrNotExist)
		if err != nil && !missing {
			return nil, fmt.Errorf("reduce indexes: %w", err)
		}
		reduced := index.reduce(string(text))
		if missing && reduced == "" {
			continue // only modules.dep must be; it was asked for before
		}
		files = append(files, initramfs.Entry{
			Name: dir + index.name,
			Mode: initramfs.TypeFile | 0o644,
			Data: []byte(reduced),
			Part: initramfs.PartIndexes,
		})
	}
	return files, nil
}

// RAMProfile is the profile of images that stay the root.
const RAMProfile = "ram"

// BinaryIndexes are kmod's of the indexes of an image.
func BinaryIndexes(indexes []initramfs.Entry) []initramfs.Entry {
	texts := make(map[string]string)
	dir := ""
	for _, f := range indexes {
		dir = path.Dir(f.Name)
		texts[path.Base(f.Name)] = string(f.Data)
	}
	made := depmod.Binary(texts["modules.dep"], texts["modules.alias"], texts["modules.builtin"],
		texts["modules.builtin.modinfo"])
	var files []initramfs.Entry
	for _, name := range slices.Sorted(maps.Keys(made)) {
		files = append(files, initramfs.Entry{
			Name: path.Join(dir, name), Mode: initramfs.TypeFile | 0o644, Data: made[name],
			Part: initramfs.PartIndexes,
		})
	}
	return files
}

const softdepFile = "modules.softdep"

// companions are modload's, and more, as lines of modules.softdep.
func companions(keep func(module string) bool, more ...modload.Companion) string {
	var out strings.Builder
	for _, c := range append(modload.Companions(), more...) {
		if !keep(c.Module) {
			continue
		}
		if then := slices.DeleteFunc(slices.Clone(c.Then), func(m string) bool { return !keep(m) }); len(then) > 0 {
			fmt.Fprintf(&out, "softdep %s post: %s\n", c.Module, strings.Join(then, " "))
		}
	}
	return out.String()
}

// reduceDep keeps the lines of modules.dep whose module is kept, and writes
// all paths as they are in the image: relative to dir and without the ending of a
// compression.
//
// What a module uses is written users first, as depmod does, and of what does not use each other by
// path: depmod's order among those follows from all modules of the tree, and an image is to
// depend on its own modules alone.
func reduceDep(text, dir string, kept func(word string) bool) string {
	uses := make(map[string]int) // how many modules each uses, by path
	for line := range strings.Lines(text) {
		if module, needs, ok := strings.Cut(line, ":"); ok {
			uses[module] = len(strings.Fields(needs))
		}
	}
	var out strings.Builder
	for line := range strings.Lines(text) {
		module, needs, ok := strings.Cut(line, ":")
		if !ok || !kept(module) {
			continue
		}
		out.WriteString(PlainPath(strings.TrimPrefix(module, "/"+dir)))
		out.WriteByte(':')
		list := strings.Fields(needs)
		slices.SortStableFunc(list, func(a, b string) int {
			// Who uses another uses all that the other does, and the other besides.
			return cmp.Or(cmp.Compare(uses[b], uses[a]), strings.Compare(a, b))
		})
		for _, need := range list {
			out.WriteByte(' ')
			out.WriteString(PlainPath(strings.TrimPrefix(need, "/"+dir)))
		}
		out.WriteByte('\n')
	}
	return out.String()
}

// reduceModinfo keeps the aliases of modules.builtin.modinfo: records
// "module.key=value", each ended by NUL.
func reduceModinfo(text string) string {
	var out strings.Builder
	for record := range strings.SplitSeq(text, "\x00") {
		if key, _, ok := strings.Cut(record, "="); ok && strings.HasSuffix(key, ".alias") {
			out.WriteString(record)
			out.WriteByte(0)
		}
	}
	return out.String()
}

// lines keeps those lines of a text whose words pass.
func lines(text string, pass func(words []string) bool) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "#") && pass(strings.Fields(line)) {
			out.WriteString(strings.TrimSuffix(line, "\n"))
			out.WriteByte('\n')
		}
	}
	return out.String()
}

// PlainPath takes the ending of a compression off the path of a module.
func PlainPath(name string) string {
	if i := strings.LastIndex(name, ".ko."); i >= 0 {
		return name[:i+len(".ko")]
	}
	return name
}
