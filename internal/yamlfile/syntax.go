package yamlfile

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// unreadable finds the first byte that YAML does not take (its c-printable,
// https://yaml.org/spec/1.2.2/#51-character-set). An empty sentence: there is none.
func unreadable(text []byte) (position, string) {
	p := position{Line: 1, Column: 1}
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		switch {
		case c == utf8.RuneError && size <= 1:
			return p, fmt.Sprintf("byte 0x%02x is not UTF-8: save the file in UTF-8", text[i])
		case c == '\n':
			p.Line, p.Column = p.Line+1, 0
		case c == 0xfeff && i == 0:
			p.Column = 0
		case c < ' ' && c != '\t' && c != '\r', c >= 0x7f && c < 0xa0 && c != 0x85, c == 0xfffe, c == 0xffff:
			return p, fmt.Sprintf("control character %U: remove it", c)
		}
		i += size
		p.Column++
	}
	return position{}, ""
}

// syntax says in plain words what the YAML library did not understand, and
// where.
func syntax(e *yaml.LoadError, text []byte) (position, string) {
	where := position{Line: e.Mark.Line, Column: e.Mark.Column}
	began := position{Line: e.ContextMark.Line, Column: e.ContextMark.Column}
	has := func(s string) bool { return strings.Contains(e.Message, s) }
	char := charAt(text, where)
	switch {
	case char == '\t' && !has("mapping values"), has("tab character"):
		return where, "a tab: YAML indents with spaces alone"
	case has("cannot start any token"):
		return where, fmt.Sprintf("no value can begin with %q: put it into quotes", char)
	case has("mapping values are not allowed"):
		return where, "a colon where no key can be: put text with \": \" into quotes, and begin keys below those " +
			"that they belong to"
	case has("found unexpected end of stream"):
		return began, "the quotes that begin here are never closed"
	case has("',' or ']'"), has("',' or '}'"):
		return where, fmt.Sprintf("the bracket of line %d, column %d is not closed, or a comma is missing before this",
			began.Line, began.Column)
	case has("expected node content"):
		return where, "a value is missing here, or a bracket is not closed"
	case has("expected key"), has("'-' indicator"):
		return where, fmt.Sprintf("this does not line up with the lines that begin in line %d, column %d: indent "+
			"it as they are", began.Line, began.Column)
	case has("could not find expected ':'"):
		return where, "a key without a colon: write key: value"
	case has("block sequence entries are not allowed"):
		return where, "a list cannot begin here: write \"- \" in a line of its own, below its key"
	case has("unknown escape"), has("escape code"):
		return where, "within double quotes \\ begins an escape sequence, and this is not one: use single quotes"
	case has("unknown anchor"):
		_, name, _ := strings.Cut(e.Message, "'")
		name, _, _ = strings.Cut(name, "'")
		return where, fmt.Sprintf("there is no anchor &%.60s before this: write it where the alias *%.60s comes "+
			"from, or put the text into quotes", name, name)
	case has("exceeded max depth"):
		return where, "lists and mappings within each other, too deep to be meant"
	case has("alphabetic or numeric"):
		return where, "an anchor or alias (& or *) has a name of letters and digits: put other text into quotes"
	}
	return where, "not YAML: " + e.Message
}

// charAt returns the character at a position, 0 outside of the text.
func charAt(text []byte, p position) rune {
	line := 1
	for l := range strings.Lines(string(text)) {
		if line == p.Line {
			if chars := []rune(l); p.Column >= 1 && p.Column <= len(chars) {
				return chars[p.Column-1]
			}
			return 0
		}
		line++
	}
	return 0
}
