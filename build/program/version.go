package program

import (
	"runtime/debug"
	"strings"
)

// Version is the version of this program.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		return strings.Trim(info.Main.Version, "()")
	}
	return "unknown"
}
