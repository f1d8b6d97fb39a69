package site

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// A Key is a flag of nodisk build as a file may set it.
type Key struct {
	// CommandLine flags do not belong in a file.
	CommandLine bool
	// Repeatable flags collect the values of all files; of others the last one counts.
	Repeatable bool
	// Switch flags are true or false. One that is Valued too may have a text instead.
	Switch, Valued bool
	// Path flags name files: a relative one is taken from the directory of the file that
	// it is written in. Words are values that are not paths, such as "none".
	Path  bool
	Words []string
}

// A Schema is what the files may set, by the long names of flags.
type Schema map[string]Key

// A Position is where a setting was written.
type Position struct {
	File string
	Line int
}

// String is the form that editors and compilers use: FILE:LINE.
func (p Position) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// A Setting is one flag with what it is set to.
type Setting struct {
	Name string
	// Values are the texts of a flag; nil for a switch that has none.
	Values []string
	// On is whether a switch is on. It is true for all flags with values.
	On bool
	At Position
}

// Settings are flags in the order in which they were written.
type Settings []Setting

// Get returns the setting of a flag.
func (s Settings) Get(name string) (Setting, bool) {
	i := slices.IndexFunc(s, func(one Setting) bool { return one.Name == name })
	if i < 0 {
		return Setting{}, false
	}
	return s[i], true
}

// Without returns the settings but those of some flags.
func (s Settings) Without(names ...string) Settings {
	var rest Settings
	for _, one := range s {
		if !slices.Contains(names, one.Name) {
			rest = append(rest, one)
		}
	}
	return rest
}

// Args spells the settings as the command line would have them. A switch that is off is
// left out: that is what the command line says without it.
func (s Settings) Args() []string {
	var args []string
	for _, one := range s {
		args = append(args, one.args()...)
	}
	return args
}

func (s Setting) args() []string {
	switch {
	case !s.On:
		return nil
	case s.Values == nil:
		return []string{"--" + s.Name}
	}
	args := make([]string, 0, len(s.Values))
	for _, v := range s.Values {
		args = append(args, "--"+s.Name+"="+v)
	}
	return args
}

// Each calls f for every setting alone, for errors that name its line.
func (s Settings) Each(f func(at Position, args []string)) {
	for _, one := range s {
		f(one.At, one.args())
	}
}

// Merge puts layers of settings on top of each other, the most general first. Of a flag
// that takes one value the last layer that sets it counts; values of repeatable ones add
// up. The result is in the order of names, so that the same settings make the same
// arguments, in whatever order they were written.
func (s Schema) Merge(layers ...Settings) Settings {
	var merged Settings
	for _, layer := range layers {
		for _, one := range layer {
			i := slices.IndexFunc(merged, func(m Setting) bool { return m.Name == one.Name })
			switch {
			case i < 0:
				one.Values = slices.Clone(one.Values)
				merged = append(merged, one)
			case s[one.Name].Repeatable:
				merged[i].Values = append(merged[i].Values, one.Values...)
				merged[i].At = one.At
			default:
				merged[i] = one
			}
		}
	}
	slices.SortStableFunc(merged, func(a, b Setting) int { return strings.Compare(a.Name, b.Name) })
	return merged
}

// resolve makes a relative path one of dir. What follows the path, as in SRC:DST, stays.
func (k Key) resolve(dir, value string) string {
	if !k.Path || dir == "" || value == "" || filepath.IsAbs(value) || slices.Contains(k.Words, value) {
		return value
	}
	return filepath.Join(dir, value)
}

// Expand replaces the placeholders of a name, such as {kver}, by their values. An unknown
// one is an error that lists those there are; "{{" is not special.
func Expand(name string, values map[string]string) (string, error) {
	var out strings.Builder
	for rest := name; ; {
		before, after, found := strings.Cut(rest, "{")
		out.WriteString(before)
		if !found {
			return out.String(), nil
		}
		key, tail, closed := strings.Cut(after, "}")
		if !closed {
			return "", fmt.Errorf("%s: a { without its }: take %s", name, placeholders(values))
		}
		value, known := values[key]
		if !known {
			return "", fmt.Errorf("%s: there is no placeholder {%s}: take %s", name, key, placeholders(values))
		}
		out.WriteString(value)
		rest = tail
	}
}

func placeholders(values map[string]string) string {
	names := make([]string, 0, len(values))
	for name := range values {
		names = append(names, "{"+name+"}")
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}
