package pxe

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/yamlfile"
)

// Bounds of a description: some 200,000 nodes; subnets, groups and prefixes are
// compared with each other.
const (
	maxSize  = 32 << 20
	maxParts = 4096
)

// The layers above the nodes of yaml/v4 (here, scalars.go, parse.go, build/site) are own code: its decoder into structs
// was tried, and its errors have a line but no column, speak of types of Go and suggest nothing. goccy/go-yaml makes
// nodisk 0.4 MB larger.

// document reads YAML (https://yaml.org/spec/1.2.2) and returns its one
// mapping, aliases and merge keys replaced by what they stand for.
func (p *problems) document(r io.Reader) (*yaml.Node, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", p.file, err)
	}
	if len(text) > maxSize {
		return nil, p.problem(Position{}, "more than %d MiB: divide the nodes into several files and directories",
			maxSize>>20)
	}
	docs, err := yamlfile.Documents(text)
	wrong, located := errors.AsType[*yamlfile.SyntaxError](err)
	switch {
	case located:
		return nil, p.problem(Position{wrong.Line, wrong.Column}, "%s", wrong.Text)
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", p.file, err)
	case len(docs) == 0:
		return nil, p.problem(Position{}, "nothing in it: write at least one subnet and one node (nodisk pxe "+
			"--example prints a beginning)")
	case len(docs) > 1:
		return nil, p.problem(at(docs[1]), "more than one YAML document: write one, without a line ---")
	}
	doc := docs[0]
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, p.problem(at(doc), "not a mapping: write the keys defaults, subnets, groups and nodes")
	}
	return p.resolve(doc.Content[0]), nil
}

// fields reads a mapping: for each key the function of that name is called
// with the value. Other keys and repeated ones are problems.
func (p *problems) fields(n *yaml.Node, what string, read map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.bad(at(n), "%s is not a mapping (key: value): %s", what, described(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f, known := read[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			p.bad(at(key), "%s: a key is not a word", what)
		case !known:
			p.bad(at(key), "%s: unknown key %q%s", what, clip(key.Value), suggestion(key.Value, read))
		case seen[key.Value] > 0:
			p.bad(at(key), "%s: %s: again, is in line %d already", what, key.Value, seen[key.Value])
		default:
			f(value)
		}
		if known {
			seen[key.Value] = key.Line
		}
	}
}

// items calls f with each element of a sequence.
func (p *problems) items(n *yaml.Node, what string, f func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		p.bad(at(n), "%s is not a list (lines that begin with \"- \"): %s", what, described(n))
		return
	}
	for _, c := range n.Content {
		f(c)
	}
}

// text returns a scalar as it is written, whatever type YAML gives it: a MAC
// or a GUID may look like a number of any kind.
func (p *problems) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		p.bad(at(n), "%s has no value: write one word or text: %s", what, described(n))
		return ""
	}
	for _, c := range n.Value {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			p.bad(at(n), "%s has control characters", what)
			return ""
		}
	}
	return n.Value
}

// texts returns the elements of a list, or one scalar as a list of it.
func (p *problems) texts(n *yaml.Node, what string) []string {
	var list []string
	for _, c := range elements(n) {
		if s := p.text(c, what); s != "" {
			list = append(list, s)
		}
	}
	return list
}

// described says what is there instead.
func described(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "here is a mapping"
	case yaml.SequenceNode:
		return "here is a list"
	case yaml.ScalarNode:
		if n.Tag == "!!null" || n.Value == "" {
			return "here is nothing"
		}
		return fmt.Sprintf("here is %q", clip(n.Value))
	default:
		return "here is something else"
	}
}

// suggestion names the nearest key, or all when none is near.
func suggestion(key string, read map[string]func(*yaml.Node)) string {
	var known []string
	for k := range read {
		known = append(known, k)
	}
	slices.Sort(known)
	best := cmdline.Nearest(clip(key), known, len(key)/2+1)
	if best != "" {
		return ", did you mean " + best + "?"
	}
	return ": the keys are " + strings.Join(known, ", ")
}
