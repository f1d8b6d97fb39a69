package pxe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// maxTold is how many mistakes are told at once: a wrong prefix in a list of
// 10,000 nodes is 10,000 of them.
const maxTold = 100

// A Position is a place in a description, both numbers counted from 1. The zero
// value is the description as a whole.
type Position struct{ Line, Column int }

func at(n *yaml.Node) Position { return Position{Line: n.Line, Column: n.Column} }

// before orders positions as one reads.
func (p Position) compare(o Position) int {
	return cmp.Or(cmp.Compare(p.Line, o.Line), cmp.Compare(p.Column, o.Column))
}

// A problem is one thing that is wrong, and where.
type problem struct {
	file string
	at   Position
	text string
}

// Error is file:line:column: and the sentence, as compilers write it.
func (p problem) Error() string {
	where := p.file
	if p.at.Line > 0 {
		where += ":" + strconv.Itoa(p.at.Line)
	}
	if p.at.Column > 0 {
		where += ":" + strconv.Itoa(p.at.Column)
	}
	if where == "" {
		return p.text
	}
	return where + ": " + p.text
}

// problems collects them.
type problems struct {
	file string
	list []problem
}

func (p *problems) bad(where Position, format string, args ...any) {
	p.list = append(p.list, p.problem(where, format, args...))
}

func (p *problems) problem(where Position, format string, args ...any) problem {
	return problem{file: p.file, at: where, text: fmt.Sprintf(format, args...)}
}

// err joins all, in the order of their positions, each once.
func (p *problems) err() error {
	slices.SortStableFunc(p.list, func(a, b problem) int { return a.at.compare(b.at) })
	list := slices.Compact(p.list)
	var errs []error
	for i, one := range list {
		if i == maxTold {
			errs = append(errs, fmt.Errorf("and %d more mistakes, which are not shown", len(list)-maxTold))
			break
		}
		errs = append(errs, one)
	}
	return errors.Join(errs...)
}

// clip keeps a message short.
func clip(s string) string {
	if len(s) > 60 {
		end := 60
		for end > 0 && !utf8.RuneStart(s[end]) {
			end--
		}
		return s[:end] + "..."
	}
	return s
}

// shown is a text of the description as a message has it: in quotes, and
// with its control characters made visible, unless it is a simple word.
func shown(s string) string {
	if plain(strings.ReplaceAll(s, ":", "")) {
		return clip(s)
	}
	return strconv.Quote(clip(s))
}
