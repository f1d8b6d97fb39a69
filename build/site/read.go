package site

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/nodisk/nodisk/internal/yamlfile"
)

// The files of a site, below its directory.
const (
	DefaultsFile = "build.yaml"
	ImagesDir    = "images.d"
)

// An Image is what one image is made of, without what all have in common.
type Image struct {
	Name     string // of the file without .yaml; empty in a list
	Settings Settings
	At       Position
}

// A Site is what its files say.
type Site struct {
	// Files are those that were read, in the order of reading.
	Files    []string
	Defaults Settings
	Images   []Image
	// Warnings are of files that were passed over, and look as if they were meant to be read.
	Warnings []string
}

// Read reads the files of a site. dir is the directory's name, for errors and relative
// paths, and fsys what is in it. A site without files is an empty one.
func Read(fsys fs.FS, dir string, schema Schema) (Site, error) {
	var (
		s    Site
		errs []error
	)
	read := func(name string) (Settings, bool) {
		data, err := readRegular(fsys, name)
		if err != nil {
			if !errors.Is(err, fs.ErrNotExist) {
				errs = append(errs, fmt.Errorf("read %s: %w", filepath.Join(dir, name), err))
			}
			return nil, false
		}
		at := filepath.Join(dir, name)
		d := document{file: at, base: filepath.Dir(at), schema: schema}
		settings := d.settings(d.parse(data))
		s.Files = append(s.Files, at)
		errs = append(errs, d.errs...)
		return settings, true
	}
	s.Defaults, _ = read(DefaultsFile)
	names, err := fs.Glob(fsys, path.Join(ImagesDir, "*.yaml"))
	if err != nil {
		return Site{}, fmt.Errorf("read %s: %w", filepath.Join(dir, ImagesDir), err)
	}
	for _, name := range names {
		if leftOver.MatchString(path.Base(name)) {
			continue
		}
		settings, ok := read(name)
		if !ok {
			continue
		}
		s.Images = append(s.Images, Image{
			Name: strings.TrimSuffix(path.Base(name), ".yaml"), Settings: settings,
			At: Position{filepath.Join(dir, name), 1},
		})
	}
	passed, err := s.passedOver(fsys, dir)
	s.Warnings = passed
	return s, errors.Join(append(errs, err)...)
}

// passedOver warns of files in the places of the site's that are none of them: gpu.yml
// instead of gpu.yaml. One that a setting names is in its place.
func (s Site) passedOver(fsys fs.FS, dir string) (warnings []string, err error) {
	if _, err := fs.Stat(fsys, "build.yml"); err == nil && !s.names(filepath.Join(dir, "build.yml")) {
		warnings = append(warnings, fmt.Sprintf("%s: only %s is read", filepath.Join(dir, "build.yml"), DefaultsFile))
	}
	entries, err := fs.ReadDir(fsys, ImagesDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, ImagesDir), err)
	}
	for _, e := range entries {
		at := filepath.Join(dir, ImagesDir, e.Name())
		if !e.IsDir() && path.Ext(e.Name()) != ".yaml" && !leftOver.MatchString(e.Name()) && !s.names(at) {
			warnings = append(warnings, at+": only *.yaml files are read")
		}
	}
	return warnings, nil
}

// leftOver are names that editors and packages give to what is not to be read, and such as
// are for people.
var leftOver = regexp.MustCompile(
	`^\.|^#|~$|\.(bak|old|orig|save|swp)$|\.(dpkg|ucf)-[a-z]+$|\.rpm(new|save|orig)$|^README`)

// names reports whether a setting names a file, alone or with its place in the image.
func (s Site) names(file string) bool {
	named := func(list Settings) bool {
		return slices.ContainsFunc(list, func(one Setting) bool {
			return slices.ContainsFunc(one.Values,
				func(v string) bool { return v == file || strings.HasPrefix(v, file+":") })
		})
	}
	return named(s.Defaults) || slices.ContainsFunc(s.Images, func(i Image) bool { return named(i.Settings) })
}

// readRegular reads a file. Of something else, such as a FIFO, nobody knows when it would end.
func readRegular(fsys fs.FS, name string) ([]byte, error) {
	info, err := fs.Stat(fsys, name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errNotRegular
	}
	return fs.ReadFile(fsys, name)
}

// ReadList reads the file of nodisk build --images: "common:", settings of all its
// images, and "images:", a list with those of each. Relative paths are left as they are,
// those of the directory in which the command runs.
func ReadList(file string, data []byte, schema Schema) (Site, error) {
	d := document{file: file, schema: schema}
	s := Site{Files: []string{file}}
	top := Schema{"common": {}, "images": {}}
	root := d.parse(data)
	for _, p := range d.pairs(root, 0) {
		switch p.key.Value {
		case "common":
			s.Defaults = d.settings(p.value)
		case "images":
			list := d.follow(p.value)
			if list == nil || list.Kind != yaml.SequenceNode {
				d.fail(p.key, `"images:" is a list, one "- " for each image`)
				continue
			}
			for _, node := range list.Content {
				s.Images = append(s.Images, Image{Settings: d.settings(node), At: d.at(node)})
			}
		default:
			d.fail(
				p.key,
				`unknown key %q%s; the file has "common:", flags of all images, and "images:", a list with the flags of each`,
				p.key.Value,
				top.near(p.key.Value),
			)
		}
	}
	if len(d.errs) == 0 && len(s.Images) == 0 {
		d.errs = append(d.errs,
			fmt.Errorf(`%s: there are no images: list them below "images:", each with "out: FILE" at least`, file))
	}
	return s, errors.Join(d.errs...)
}

// A document is one file on its way into settings. Its errors are collected.
type document struct {
	file   string
	base   string // what relative paths are of; empty: they are left unchanged
	schema Schema
	merges int
	errs   []error
}

func (d *document) at(n *yaml.Node) Position { return Position{d.file, n.Line} }

func (d *document) fail(n *yaml.Node, format string, args ...any) {
	d.errs = append(d.errs, fmt.Errorf("%v: %w", d.at(n), fmt.Errorf(format, args...)))
}

// parse returns the top of the file's document, nil if it is empty or cannot be read.
func (d *document) parse(data []byte) *yaml.Node {
	docs, err := yamlfile.Documents(data)
	wrong, located := errors.AsType[*yamlfile.SyntaxError](err)
	switch {
	case located:
		d.errs = append(d.errs, fmt.Errorf("%v: %w", Position{d.file, wrong.Line}, wrong))
	case err != nil:
		d.errs = append(d.errs, fmt.Errorf("read %s: %w", d.file, err))
	case len(docs) > 1:
		d.fail(docs[1], "a second document: there is one a file")
	case len(docs) == 1 && len(docs[0].Content) > 0:
		return docs[0].Content[0]
	}
	return nil
}

// follow returns what an alias stands for.
func (d *document) follow(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// A pair is a key of a mapping with its value.
type pair struct{ key, value *yaml.Node }

// How deep "<<" may lead, and how often in a file: one that leads to itself never ends, and
// lists of lists multiply.
const (
	maxDepth  = 8
	maxMerges = 1000
)

// pairs lists what a mapping holds, and what it merges by "<<"; its own keys count first.
func (d *document) pairs(n *yaml.Node, depth int) []pair {
	n = d.follow(n)
	if n == nil || n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		d.fail(n, "these are not settings: write one \"flag: value\" a line")
		return nil
	}
	if depth > maxDepth {
		d.fail(n, "<< leads round in a circle, or through more than %d merges", maxDepth)
		return nil
	}
	if depth > 0 {
		if d.merges++; d.merges > maxMerges {
			if d.merges == maxMerges+1 {
				d.fail(n, "more than %d merges by <<", maxMerges)
			}
			return nil
		}
	}
	var own, merged []pair
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" {
			from := []*yaml.Node{value}
			if list := d.follow(value); list.Kind == yaml.SequenceNode {
				from = list.Content
			}
			for _, one := range from {
				merged = append(merged, d.pairs(one, depth+1)...)
			}
			continue
		}
		if key.Kind != yaml.ScalarNode {
			d.fail(key, "a key is the name of a flag")
			continue
		}
		if first := slices.IndexFunc(own, func(p pair) bool { return p.key.Value == key.Value }); first >= 0 {
			d.fail(key, "%s is set twice: line %d has it too; what takes several values has a list",
				key.Value, own[first].key.Line)
			continue
		}
		own = append(own, pair{key, value})
	}
	for _, p := range merged {
		if !slices.ContainsFunc(own, func(o pair) bool { return o.key.Value == p.key.Value }) {
			own = append(own, p)
		}
	}
	return own
}

// settings reads a mapping of flags.
func (d *document) settings(n *yaml.Node) Settings {
	var list Settings
	for _, p := range d.pairs(n, 0) {
		name := p.key.Value
		key, ok := d.schema[name]
		if !ok {
			d.fail(p.key, "unknown key %q%s", name, d.schema.near(name))
			continue
		}
		if key.CommandLine {
			d.fail(p.key, "%q is for the command line, not for a file", name)
			continue
		}
		s := Setting{Name: name, At: d.at(p.key), On: true}
		if d.value(&s, key, d.follow(p.value)) {
			list = append(list, s)
		}
	}
	return list
}

// value reads what a flag is set to and reports whether it can be used.
func (d *document) value(s *Setting, key Key, n *yaml.Node) bool {
	switch {
	case n.Kind == yaml.ScalarNode && n.Tag == "!!null":
		d.fail(n, "%s has no value", s.Name)
	case n.Kind == yaml.ScalarNode && key.Switch && n.Tag == "!!bool":
		if err := n.Decode(&s.On); err != nil {
			d.fail(n, "%s: %q is neither true nor false", s.Name, n.Value)
			return false
		}
		return true
	case key.Switch && !key.Valued:
		d.fail(n, "%s is true or false", s.Name)
	case n.Kind == yaml.ScalarNode && key.Switch && n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) == 0 &&
		slices.Contains([]string{"yes", "no", "on", "off"}, strings.ToLower(n.Value)):
		d.fail(n, "%s: %q is neither true nor false: write one of them, or a text (./%s if it is a file)",
			s.Name, n.Value, n.Value)
	case n.Kind == yaml.ScalarNode:
		s.Values = []string{key.resolve(d.base, n.Value)}
		return true
	case n.Kind == yaml.SequenceNode && !key.Repeatable:
		d.fail(n, "%s takes one value, not a list", s.Name)
	case n.Kind == yaml.SequenceNode:
		s.Values = []string{}
		for _, e := range n.Content {
			if e = d.follow(e); e.Kind != yaml.ScalarNode || e.Tag == "!!null" {
				d.fail(e, "%s: an element of a list is a text", s.Name)
				return false
			}
			s.Values = append(s.Values, key.resolve(d.base, e.Value))
		}
		return true
	default:
		d.fail(n, "%s: this is neither a text nor a list nor true", s.Name)
	}
	return false
}
