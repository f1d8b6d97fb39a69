// Package testenv is what tests need of the machine: what must be there, and a network of their own.
package testenv

import (
	"os"
	"testing"
)

// Needs skips a test for what the machine lacks, by name; with NODISK_TEST_STRICT=1 that is a failure.
func Needs(tb testing.TB, ok bool, what string) {
	tb.Helper()
	switch {
	case ok:
	case os.Getenv("NODISK_TEST_STRICT") == "1":
		tb.Fatalf("missing: %s", what)
	default:
		tb.Skipf("missing: %s", what)
	}
}
