package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/nodisk/nodisk/build/program"
)

// versionCmd is "nodisk version".
type versionCmd struct{}

// stamp is what "make build" knows of the commit that the command is made of (git
// describe), as the linker sets it: the go command stamps only what is built in a clone
// of its own, not in a work tree of git. Empty elsewhere.
var stamp string

// Run prints version, commit, toolchain, and whether /init is inside.
func (versionCmd) Run(c console) error {
	_, err := fmt.Fprintln(c.out, versionText())
	return err
}

// versionText is the line of nodisk version and nodisk --version.
func versionText() string {
	info, _ := debug.ReadBuildInfo()
	var inits []string
	for _, arch := range []string{"amd64", "arm64"} {
		if program, ok := program.EmbeddedInit(arch); ok {
			inits = append(inits, fmt.Sprintf("%s %d bytes", arch, len(program)))
		}
	}
	inside := "no /init inside (it is compiled when needed)"
	if inits != nil {
		inside = "/init inside: " + strings.Join(inits, ", ")
	}
	return fmt.Sprintf("nodisk %s, %s %s/%s, %s", versionOf(stamp, info), runtime.Version(), runtime.GOOS,
		runtime.GOARCH, inside)
}

// versionOf is the version and the commit of a build, as far as they are known: the
// stamp of "make build", else what the go command has noted.
func versionOf(stamp string, info *debug.BuildInfo) string {
	if stamp != "" {
		return stamp
	}
	version, commit := "", ""
	if info != nil {
		version = info.Main.Version
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += ", modified"
			}
		}
	}
	if version == "" || version == "(devel)" {
		version = "of an unknown commit"
		if commit != "" {
			return "commit " + commit
		}
	}
	if commit != "" {
		version += " (" + commit + ")"
	}
	return version
}
