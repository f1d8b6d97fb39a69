package main

import "fmt"

// A conflict is a flag of nodisk build that asks for what another one keeps from being.
type conflict struct{ flag, other, why string }

// conflicts are refused: none of the flags of a command line is passed over in silence. What the files of a site
// say is for images, and nothing is wrong with it where none is made.
func conflicts() []conflict {
	list := []conflict{
		{"secret-only", "dry-run", "--secret-only decides nothing that --dry-run could tell"},
		{"secret-only", "tree", "--secret-only makes no image of which --tree could print the sizes"},
		{"secret-only", "sbom", "--secret-only makes no image of which --sbom could tell the content"},
		{"secret-only", "out", "--secret-only makes no image that could be written to --out"},
		{"dry-run", "tree", "--dry-run writes no image of which --tree could print the sizes"},
		{"json", "tree", "--json prints one document, and --tree is for people (nodisk inspect --json has the sizes)"},
		{"quiet", "tree", "--quiet prints warnings and errors only, and --tree is neither"},
	}
	for _, other := range []string{"out", "sbom", "secret-out", "secret-only", "tree", "all", "image", "images"} {
		list = append(list, conflict{"list-profiles", other, "--list-profiles makes nothing that --" + other +
			" could be for"})
	}
	return list
}

// conflicting refuses flags of a command line that do not go together.
func conflicting(g given) error {
	for _, c := range conflicts() {
		if g.asks(c.flag) && g.asks(c.other) {
			return &usageError{fmt.Errorf("build: %s: leave one of them out", c.why)}
		}
	}
	return nil
}
