// Package cmdline splits the kernel command line and nodisk's config files
// into an ordered list of arguments.
//
// Order and repetition are kept, because both carry meaning: two ip= arguments
// are two devices, two netroot= arguments two portals. The rules for quotes and
// for "--" are those of the kernel's own next_arg (lib/cmdline.c), so that
// nodisk and the kernel never disagree about where an argument ends.
package cmdline

import (
	"strings"
)

// An Arg is one argument: a bare flag ("quiet") or a pair ("ip=dhcp").
type Arg struct {
	Key   string
	Value string
	// HasValue distinguishes "quiet=" (true, empty value) from "quiet" (false).
	HasValue bool
}

// String renders the argument as a command line spells it, quoted if the value
// holds white space.
func (a Arg) String() string {
	switch {
	case !a.HasValue:
		return a.Key
	case strings.ContainsAny(a.Value, " \t\n"):
		return a.Key + `="` + a.Value + `"`
	default:
		return a.Key + "=" + a.Value
	}
}

// Args are the arguments in the order they were written.
type Args []Arg

// Parse splits a kernel command line. It takes any input, as the kernel does:
// a quote that is never closed runs to the end of the line, and the words
// after a lone "--" belong to the next init and are left out.
func Parse(line string) Args {
	var args Args
	for {
		line = strings.TrimLeft(line, " \t\n\v\f\r")
		if line == "" {
			return args
		}
		var word string
		if word, line = cut(line); word == "--" {
			return args
		}
		args = append(args, arg(word))
	}
}

// cut takes the first word off a line that does not begin with white space. A
// double quote anywhere in the word protects the white space after it.
func cut(line string) (word, rest string) {
	quoted := false
	for i := range len(line) {
		switch c := line[i]; {
		case c == '"':
			quoted = !quoted
		case !quoted && isSpace(c):
			return line[:i], line[i:]
		}
	}
	return line, ""
}

func isSpace(c byte) bool {
	return c == ' ' || (c >= '\t' && c <= '\r')
}

func arg(word string) Arg {
	// A quote before the key covers the whole word: "key=a b".
	if strings.HasPrefix(word, `"`) {
		word = strings.TrimSuffix(word[1:], `"`)
	}
	key, value, ok := strings.Cut(word, "=")
	return Arg{Key: key, Value: unquote(value), HasValue: ok}
}

func unquote(s string) string {
	if strings.HasPrefix(s, `"`) {
		s = strings.TrimSuffix(s[1:], `"`)
	}
	return s
}

// Merge puts a config file before the command line. A key that the command
// line names replaces all values the config has for it, so that a repeated key
// such as ip= is never a mixture of both.
func Merge(config, line Args) Args {
	merged := make(Args, 0, len(config)+len(line))
	for _, a := range config {
		if !line.Has(a.Key) {
			merged = append(merged, a)
		}
	}
	return append(merged, line...)
}

// All returns the values of every key=value argument of that key, in order.
// Dash and underscore are the same in a key, as they are to the kernel
// (parameq in kernel/params.c).
func (a Args) All(key string) []string {
	var values []string
	for _, x := range a {
		if x.HasValue && SameKey(x.Key, key) {
			values = append(values, x.Value)
		}
	}
	return values
}

// Last returns the value of the last key=value argument of that key.
func (a Args) Last(key string) (value string, ok bool) {
	for _, x := range a {
		if x.HasValue && SameKey(x.Key, key) {
			value, ok = x.Value, true
		}
	}
	return value, ok
}

// Has reports whether the key occurs, with or without a value.
func (a Args) Has(key string) bool {
	for _, x := range a {
		if SameKey(x.Key, key) {
			return true
		}
	}
	return false
}

// Bool reads a switch: the bare key, 1, yes, on and true are true; 0, no, off
// and false are false; absent is def. The last occurrence wins.
func (a Args) Bool(key string, def bool) (bool, error) {
	on := def
	for _, x := range a {
		if !SameKey(x.Key, key) {
			continue
		}
		switch strings.ToLower(x.Value) {
		case "1", "y", "yes", "on", "true":
			on = true
		case "0", "n", "no", "off", "false":
			on = false
		case "":
			if x.HasValue {
				return def, &ValueError{Key: x.Key, Problem: "is empty", Fix: "write 1 or 0"}
			}
			on = true
		default:
			return def, &ValueError{Key: x.Key, Value: x.Value, Problem: "is not a switch", Fix: "write 1 or 0"}
		}
	}
	return on, nil
}

// SameKey compares two keys as the kernel does: dash equals underscore.
func SameKey(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		x, y := a[i], b[i]
		if x == '-' {
			x = '_'
		}
		if y == '-' {
			y = '_'
		}
		if x != y {
			return false
		}
	}
	return true
}

// A ValueError is a known key with a value that cannot be used.
type ValueError struct {
	Key     string // as written
	Value   string // as written; never a secret
	Problem string // "is not an address"
	Fix     string // what to write instead
}

// Error names key, value, problem and fix in one line.
func (e *ValueError) Error() string {
	s := e.Key + "=" + e.Value + ": " + e.Problem
	if e.Value == "" {
		s = e.Key + "= " + e.Problem
	}
	if e.Fix != "" {
		s += "; " + e.Fix
	}
	return s
}
