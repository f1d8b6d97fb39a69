package site

import (
	"slices"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// near is ", did you mean NAME?" for the known key that is spelled most like name, or
// nothing.
func (s Schema) near(name string) string {
	names := make([]string, 0, len(s))
	for known := range s {
		names = append(names, known)
	}
	slices.Sort(names)
	if best := cmdline.Nearest(name, names, max(2, len(name)/3)+1); best != "" {
		return ", did you mean " + best + "?"
	}
	return ""
}
