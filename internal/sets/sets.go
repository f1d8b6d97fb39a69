// Package sets is what slices lack when they are used as sets.
package sets

import (
	"slices"
)

// Union appends those of b that are not in a.
func Union[T comparable](a, b []T) []T {
	all := slices.Clone(a)
	for _, x := range b {
		if !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return all
}
