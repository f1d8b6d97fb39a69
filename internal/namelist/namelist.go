package namelist

import (
	"fmt"
	"slices"
	"strings"
)

// Shorten lists at most n names.
func Shorten(names []string, n int) string {
	if len(names) <= n {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
}

// Split splits values at their commas.
func Split(values []string) []string {
	var list []string
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				list = append(list, name)
			}
		}
	}
	return list
}

// Unique drops later ones of equal names and keeps the order.
func Unique(names []string) []string {
	seen := make(map[string]bool, len(names))
	var list []string
	for _, name := range names {
		if !seen[name] {
			seen[name] = true
			list = append(list, name)
		}
	}
	return list
}

// Sorted sorts names and drops the second of each.
func Sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}
