//go:build !embedinit

package program

// embedded returns the file that make build put in for an architecture: /init as it is, or as
// [PackProgram] returns it. Nil if there is none, because this program was compiled without
// the tag embedinit.
func embedded(string) []byte { return nil }
