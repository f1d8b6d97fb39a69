package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

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
	var inits []string
	for _, arch := range []string{"amd64", "arm64"} {
		if program, ok := build.EmbeddedInit(arch); ok {
			inits = append(inits, fmt.Sprintf("%s %d bytes", arch, len(program)))
		}
	}
	inside := "no /init inside (it is compiled when needed)"
	if inits != nil {
		inside = "/init inside: " + strings.Join(inits, ", ")
	}
	_, err := fmt.Fprintf(c.out, "nodisk %s%s, %s %s/%s, %s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, inside)
	return err
}
