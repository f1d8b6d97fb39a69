package quantity

import (
	"fmt"
)

// Bytes prints a size both for people and for comparison.
func Bytes(n int64) string {
	if n < 1_000_000 {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.2f MB", float64(n)/1e6)
}

// Plural is a number of things: "1 file", "2 files".
func Plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
