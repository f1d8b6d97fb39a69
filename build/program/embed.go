//go:build embedinit

package program

import _ "embed"

//go:embed embedded/nodisk-init
var embeddedInit []byte

//go:embed embedded/nodisk-init-arm64
var embeddedInitARM64 []byte

// embedded returns the file that make build put in for an architecture: /init as it is, or as
// [PackProgram] returns it. Nil if there is none, because this program was compiled without
// the tag embedinit.
func embedded(arch string) []byte {
	switch arch {
	case "amd64":
		return embeddedInit
	case "arm64":
		return embeddedInitARM64
	default:
		return nil
	}
}
