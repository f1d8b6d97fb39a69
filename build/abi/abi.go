// Package abi reports whether a kernel would load modules, before a node tries.
//
// A module that is of another kernel build is refused at boot, on the node, with a line
// that names a symbol. [Check] says the same on the administrator's desk, for
// all modules at once and with what to do. It is pure: the kernel's facts and
// the modules come from the caller.
//
// What counts is what the kernel itself compares (kernel/module/main.c and
// version.c):
//   - vermagic: release and build flags. A module with symbol versions may be
//     of another release (weak-updates relies on that), never of other flags.
//   - the CRC of every imported symbol against the one of whoever exports it,
//     be that the kernel or the module that modprobe would load for it;
//   - that every import is exported, to a module of that licence and with that namespace;
//   - the signature, where the kernel enforces it.
package abi

import (
	"path"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
)

// A Kernel is what is known about the kernel. Everything but Release may be
// missing; then less can be judged.
type Kernel struct {
	Release  string // as uname -r prints it
	Arch     string // as GOARCH spells it
	Vermagic string // whole, as in the kernel
	// Exports are the kernel's own. Nil: what the in-tree modules import stands
	// for them, see Derive.
	Exports []ko.Symbol
	// Partial says that Exports are not all there are: of others nothing is known.
	Partial bool
	// ExportsFrom tells where Exports come from.
	ExportsFrom string
	// Config is the kernel's configuration, nil if it is not known.
	Config Kconfig
}

// A File is a module file.
type File struct {
	Path   string     // below the module tree: "kernel/fs/ext4/ext4.ko"; for people, and for where it comes from
	Module *ko.Module // nil: Err says why
	Err    error
	// Shadowed is a file that is not loaded, because modprobe takes another for
	// its name.
	Shadowed bool
}

// Name is the module's as modprobe knows it: of the file, with underscores.
func (f *File) Name() string { return nameOf(f.Path) }

func nameOf(file string) string {
	name, _, _ := strings.Cut(path.Base(file), ".ko")
	return strings.ReplaceAll(name, "-", "_")
}

// Config says how to check.
type Config struct {
	// Symbols has the imports checked too, not only vermagic, architecture and signature.
	Symbols bool
}

// A Severity tells how bad a finding is. Zero is invalid.
type Severity uint8

// The severities.
const (
	Fault   Severity = iota + 1 // the kernel refuses the module
	Warning                     // it may, or something else is wrong
	Note                        // as it should be, and may surprise
)

// String is the word before a finding.
func (s Severity) String() string {
	switch s {
	case Fault:
		return "fault"
	case Warning:
		return "warning"
	case Note:
		return "note"
	}
	return "severity?"
}

// A Kind is what is wrong. Zero is invalid.
type Kind uint8

// The kinds of findings.
const (
	Unreadable Kind = iota + 1 // no module, or damaged
	WrongArch
	WrongVermagic
	WrongSymbol   // a CRC differs
	MissingSymbol // nothing exports it
	GPLSymbol     // exported to others only
	WrongNamespace
	WrongSignature
	DuplicateSymbol
	Dangling // a link to nowhere
	Stale    // modules.dep does not fit the files
	Missing  // a file that modules.dep names
	Facts    // what could not be judged
	TooOld   // the kernel is older than nodisk is for
)

// A Finding is one thing that is wrong with one module, or with all when Module
// is empty.
type Finding struct {
	Severity Severity
	Kind     Kind
	Module   string
	Path     string // of its file
	Text     string // what is wrong
	Remedy   string // what to do; may be empty
	// Mixes is set if the module is the kernel's own, and what it was built with is not what it gets:
	// the path of the other package's module that modprobe takes in its place.
	Mixes string
}

// A Report is the result of Check.
type Report struct {
	Subject   string // what was checked, such as the name of an image; may be empty
	Release   string
	Modules   int // that were checked
	OutOfTree int // of them
	Findings  []Finding
}
