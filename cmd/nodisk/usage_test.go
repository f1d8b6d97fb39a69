package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// What a newcomer is told to type has commands and flags that there are.
func TestFirstSteps(t *testing.T) {
	parser, err := kong.New(&cli{}, vars())
	if err != nil {
		t.Fatal(err)
	}
	steps, _, _ := strings.Cut(firstSteps, "Commands:")
	lines := 0
	for line := range strings.Lines(steps) {
		words := strings.Fields(line)
		if !strings.HasPrefix(line, "  nodisk ") {
			continue
		}
		lines++
		i := slices.IndexFunc(parser.Model.Children, func(n *kong.Node) bool { return n.Name == words[1] })
		if i < 0 {
			t.Errorf("%s there is no command %s", line, words[1])
			continue
		}
		for _, word := range words[2:] {
			name, ok := strings.CutPrefix(word, "--")
			known := slices.ContainsFunc(parser.Model.Children[i].Flags,
				func(f *kong.Flag) bool { return f.Name == name })
			if ok && !known {
				t.Errorf("%s there is no flag --%s", line, name)
			}
		}
	}
	if lines < 6 {
		t.Errorf("only %d commands in:\n%s", lines, steps)
	}
}
