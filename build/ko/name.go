package ko

import (
	"path"
	"strings"
)

// ModuleName is the name of a module by its path or in any spelling.
func ModuleName(word string) string {
	name := path.Base(word)
	if i := strings.Index(name, ".ko"); i >= 0 {
		name = name[:i]
	}
	return strings.ReplaceAll(name, "-", "_")
}
