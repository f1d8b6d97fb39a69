//go:build embedinit

package build

import _ "embed"

//go:embed embedded/nodisk-init
var embeddedInit []byte

// EmbeddedInit returns the /init this program carries; false if it was
// compiled without the tag embedinit.
func EmbeddedInit() ([]byte, bool) { return embeddedInit, true }
