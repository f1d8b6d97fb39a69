// Package testenv is what tests need of the machine: what must be there, and a network of their own.
package testenv

import (
	"os"
	"testing"
)

// Needs is Missing unless ok.
func Needs(tb testing.TB, ok bool, what string) {
	tb.Helper()
	if !ok {
		Missing(tb, what)
	}
}

// Missing skips a test for what the machine lacks, by name; with NODISK_TEST_STRICT=1, where everything is
// expected to be there, that is a failure.
func Missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("NODISK_TEST_STRICT") == "1" {
		tb.Fatalf("missing: %s", what)
	}
	tb.Skipf("missing: %s", what)
}
