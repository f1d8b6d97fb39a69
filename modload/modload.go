// Package modload finds and loads kernel modules: what modprobe and
// udev's coldplug do, as a library for PID 1.
//
// An [Index] is what depmod wrote about one kernel release: which modules
// there are, what they need, which device aliases they serve and what is
// built in. Its questions are pure: [Index.Match] turns the modalias of a
// device into modules, [Index.Resolve] turns names into a graph in load
// order. The image builder asks them too.
//
// Modules may also lie in flat directories beside lib/modules/RELEASE, such as
// lib/modules/ib, without what depmod writes. Nothing leads to them but their
// names, and they are loaded in the order in which they are named.
//
// A [Loader] gives modules to the kernel. It is safe for concurrent use, no
// module is loaded twice, and what does not depend on each other is loaded
// side by side, because checking a module's signature is CPU work that
// several cores can share. [Loader.Coldplug] loads what the devices of this
// machine ask for, [Loader.Follow] does so for devices that appear later.
//
// A [Profile] says which modules a purpose needs ("iscsi", "ext4"): the image
// builder copies them, /init loads them by name.
//
// Names of modules are spelled with underscores here, as in /proc/modules;
// every function takes dashes too. Files: depmod(8), modules.dep(5).
package modload

import (
	"fmt"
	"strings"
)

// A Module is one loadable module and its place in a load order.
type Module struct {
	Name string // with underscores: "crc32c_intel"
	Path string // of the file, below the root: "lib/modules/RELEASE/kernel/..."
	// Deps are the modules whose symbols it uses, directly or not: all must be
	// loaded before. In load order.
	Deps []string
	// After are the modules that the order alone puts before it, because of a
	// softdep: they are tried first, but their failure is not this one's.
	After []string
	// Optional modules are wanted by softdeps only: a failure is not an error.
	Optional bool
	// Flat modules lie in a directory without an index: what they need is not known,
	// they are loaded in the order in which they were named.
	Flat bool
}

// A MissingError is a module that is neither in the index, nor in a flat
// directory, nor built in.
type MissingError struct {
	Name    string // module or alias, as it was asked for
	Wanted  string // the module that needs it; empty: the caller asked
	Nearest string // the nearest name that exists; empty when none is near
	Release string // of the kernel whose modules were searched
}

// Error names the module, who wanted it, and what is near.
func (e *MissingError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "find module %q", e.Name)
	if e.Wanted != "" {
		fmt.Fprintf(&b, ", needed by %q", e.Wanted)
	}
	fmt.Fprintf(&b, ": neither in lib/modules/%s, nor in a directory beside it, nor built into that kernel", e.Release)
	if e.Nearest != "" {
		fmt.Fprintf(&b, "; the nearest name there is %q", e.Nearest)
	}
	return b.String()
}

// normal spells a module name or alias as the kernel does.
func normal(name string) string {
	return strings.ReplaceAll(name, "-", "_")
}

// nameOf takes the module's name from the path of its file.
func nameOf(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	// ".ko", ".ko.xz", ".ko.zst", ".ko.gz".
	if i := strings.Index(name, ".ko"); i >= 0 {
		name = name[:i]
	}
	return normal(name)
}
