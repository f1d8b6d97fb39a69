package pxe

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/nodisk/nodisk/init/cmdline"
)

// Bounds of a description: some 50,000 nodes; subnets, groups and prefixes are
// compared with each other.
const (
	maxSize  = 8 << 20
	maxParts = 4096
)

// A problem is one thing that is wrong, and where.
type problem struct {
	line int
	text string
}

func (p problem) Error() string {
	if p.line == 0 {
		return p.text
	}
	return fmt.Sprintf("line %d: %s", p.line, p.text)
}

// problems collects them.
type problems struct{ list []problem }

func (p *problems) bad(line int, format string, args ...any) {
	p.list = append(p.list, problem{line: line, text: fmt.Sprintf(format, args...)})
}

// err joins all, in the order of the lines, each once.
func (p *problems) err() error {
	slices.SortStableFunc(p.list, func(a, b problem) int { return cmp.Compare(a.line, b.line) })
	var errs []error
	for _, one := range slices.Compact(p.list) {
		errs = append(errs, one)
	}
	return errors.Join(errs...)
}

// document reads YAML (https://yaml.org/spec/1.2.2) and returns its one
// mapping.
func document(r io.Reader) (*yaml.Node, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	if len(text) > maxSize {
		return nil, fmt.Errorf("read nodes: more than %d MiB: divide the nodes into several files and folders", maxSize>>20)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	var doc, second yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, errors.New("read nodes: nothing in it: write at least one subnet and one node")
	case err != nil:
		return nil, fmt.Errorf("read nodes: %w", err)
	}
	if err := d.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("read nodes: more than one YAML document: write one, without a line ---")
	}
	if len(doc.Content) != 1 || doc.Content[0].Kind != yaml.MappingNode {
		return nil, errors.New("read nodes: not a mapping: write the keys defaults, subnets, groups and nodes")
	}
	return doc.Content[0], nil
}

// fields reads a mapping: for each key the function of that name is called
// with the value. Other keys and repeated ones are problems.
func (p *problems) fields(n *yaml.Node, what string, read map[string]func(*yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		p.bad(n.Line, "%s is not a mapping (key: value): %s", what, described(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		f, known := read[key.Value]
		switch {
		case key.Kind != yaml.ScalarNode:
			p.bad(key.Line, "%s: a key is not a word", what)
		case !known:
			p.bad(key.Line, "%s: unknown key %q%s", what, clip(key.Value), suggestion(key.Value, read))
		case seen[key.Value] > 0:
			p.bad(key.Line, "%s: %s: again, is in line %d already", what, key.Value, seen[key.Value])
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
		p.bad(n.Line, "%s is not a list (lines that begin with \"- \"): %s", what, described(n))
		return
	}
	for _, c := range n.Content {
		f(c)
	}
}

// text returns a scalar as it is written, whatever type YAML gives it: a GUID
// may look like a number.
func (p *problems) text(n *yaml.Node, what string) string {
	if n.Kind != yaml.ScalarNode || n.Tag == "!!null" || n.Value == "" {
		p.bad(n.Line, "%s has no value: write one word or text: %s", what, described(n))
		return ""
	}
	for _, c := range n.Value {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			p.bad(n.Line, "%s has control characters", what)
			return ""
		}
	}
	return n.Value
}

// texts returns the elements of a list, or one scalar as a list of it.
func (p *problems) texts(n *yaml.Node, what string) []string {
	if n.Kind != yaml.SequenceNode {
		if s := p.text(n, what); s != "" {
			return []string{s}
		}
		return nil
	}
	var list []string
	for _, c := range n.Content {
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
	case yaml.AliasNode:
		return "here is an alias, which nodisk does not follow (defaults and groups do the same)"
	case yaml.ScalarNode:
		if n.Tag == "!!null" || n.Value == "" {
			return "here is nothing"
		}
		return fmt.Sprintf("here is %q", clip(n.Value))
	default:
		return "here is something else"
	}
}

// clip keeps a message short.
func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
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
