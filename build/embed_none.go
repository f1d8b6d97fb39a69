//go:build !embedinit

package build

// EmbeddedInit returns the /init this program carries; false if it was
// compiled without the tag embedinit.
func EmbeddedInit() ([]byte, bool) { return nil, false }
