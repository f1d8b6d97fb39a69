package modload

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/sys/unix"
)

// A LoadError is a module the kernel did not take.
type LoadError struct {
	Module string
	Chain  []string // from the module that was wanted to this one; nil when this one was wanted
	Kernel string   // what the kernel's log says about it, empty if nothing
	Remedy string   // one clause, empty if nothing is known
	Err    error
}

// Error gives chain, cause, the kernel's own sentence and the remedy.
func (e *LoadError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "load module %q", e.Module)
	if len(e.Chain) > 0 {
		fmt.Fprintf(&b, " (%s)", strings.Join(e.Chain, " needs "))
	}
	fmt.Fprintf(&b, ": %v", e.Err)
	if e.Kernel != "" {
		fmt.Fprintf(&b, "; the kernel says %q", e.Kernel)
	}
	if e.Remedy != "" {
		fmt.Fprintf(&b, "; %s", e.Remedy)
	}
	return b.String()
}

// Unwrap returns the cause, mostly a [syscall.Errno].
func (e *LoadError) Unwrap() error { return e.Err }

// releases says which kernel the modules are of and which one runs.
type releases struct {
	tree, running string
}

// explain makes a LoadError of what the kernel returned and logged.
func explain(module string, err error, messages []string, rel releases) *LoadError {
	e := &LoadError{Module: module, Err: err, Kernel: sentence(module, messages)}
	other := rel.running != "" && rel.tree != rel.running
	rebuild := "the modules are of the same release but another build: build the image again with the kernel that boots"
	if other {
		rebuild = fmt.Sprintf("the modules are of %s but the kernel is %s: build the image for %s",
			rel.tree, rel.running, rel.running)
	}
	says := func(s string) bool { return strings.Contains(e.Kernel, s) }
	switch {
	case says("version magic"), says("disagrees about version of symbol"), says("no symbol version for"):
		e.Remedy = rebuild
	case says("Unknown symbol") && other:
		e.Remedy = rebuild
	case says("Unknown symbol"):
		e.Remedy = "a module it needs is not loaded or of another build: run depmod on the module tree and build " +
			"the image again"
	case says("is blacklisted"):
		e.Remedy = "take it out of module_blacklist= on the command line"
	case says("invalid for parameter"):
		e.Remedy = fmt.Sprintf("correct %s.PARAMETER= on the command line", module)
	case errors.Is(err, unix.EKEYREJECTED), errors.Is(err, unix.EBADMSG):
		e.Remedy = "its signature does not fit: the file was changed after it was signed, or the signature " +
			"is not the kernel builder's: take the module from the kernel's own package"
	case errors.Is(err, unix.ENOKEY), says("is rejected"), says("is restricted"):
		e.Remedy = "this kernel takes only modules signed by a key it knows: use the modules of the kernel's own " +
			"package, or enrol the key (MOK)"
	case errors.Is(err, fs.ErrNotExist) && e.Kernel == "":
		e.Remedy = "the file or a symbol it needs is not in the image: build the image again"
	case errors.Is(err, unix.ENOEXEC) && other:
		e.Remedy = rebuild
	case errors.Is(err, unix.ENOEXEC):
		e.Remedy = "the file is damaged or not a module of this kernel: compare its checksum with the package, build " +
			"the image again"
	case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ENXIO):
		e.Remedy = "the module found no hardware of its kind in this machine"
	case errors.Is(err, unix.EPERM):
		e.Remedy = "modules may be locked: look at /proc/sys/kernel/modules_disabled and module_blacklist="
	case errors.Is(err, unix.ENOMEM):
		e.Remedy = "the machine has too little memory left"
	}
	return e
}
