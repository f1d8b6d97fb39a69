package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/nodisk/nodisk/build"
)

// versionCmd is "nodisk version".
type versionCmd struct{}

// Run prints version, commit, toolchain, and whether /init is inside.
func (versionCmd) Run(c console) error {
	version, commit := "unknown", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		version = info.Main.Version
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value
			}
		}
	}
	inside := "no /init inside (it is compiled when needed)"
	if program, ok := build.EmbeddedInit(); ok {
		inside = fmt.Sprintf("/init inside, %d bytes", len(program))
	}
	_, err := fmt.Fprintf(c.out, "nodisk %s%s, %s %s/%s, %s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, inside)
	return err
}
