package abi

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// pending is a complaint about a module that waits until all are known.
type pending struct {
	user *File
	*complaint
}

// between makes findings of what is wrong between two modules. Where the one
// that provides is refused itself, that is the cause: those that use it are told
// with it, not each as a fault of its own.
func (c *checker) between() {
	cause := make(map[string]int) // by path: the finding
	for i, f := range c.report.Findings {
		if _, again := cause[f.Path]; f.Severity == Fault && f.Path != "" && !again {
			cause[f.Path] = i
		}
	}
	users := make(map[int][]string)
	for _, p := range c.pending {
		if i, ok := cause[p.owner.Path]; ok && (p.kind == WrongSymbol || p.kind == MissingSymbol) &&
			p.owner.Path != p.user.Path {
			users[i] = append(users[i], p.user.Name())
			continue
		}
		c.explain(p.user, p.complaint)
	}
	for i, names := range users {
		const most = 5
		slices.Sort(names)
		names = slices.Compact(names)
		list := strings.Join(names[:min(len(names), most)], ", ") + others(max(len(names)-most, 0))
		c.report.Findings[i].Text += "; what was built with another " + c.report.Findings[i].Module +
			" is refused too: " + list
	}
}

// explain makes a finding of what is wrong between a module and one provider.
func (c *checker) explain(f *File, p *complaint) {
	more := others(len(p.names) - 1)
	built := ""
	if r := f.Module.Release(); r != c.kernel.Release && r != "" {
		built = fmt.Sprintf("built for %s, ", r)
	}
	switch p.kind {
	case WrongSymbol:
		text := fmt.Sprintf("%sdisagrees about version of symbol %s%s", built, p.first, more)
		remedy := c.rebuild(f)
		if p.owner != nil {
			text += c.chain(f, p.owner)
			remedy = c.match(f, p.owner)
		}
		c.add(f, Finding{Severity: Fault, Kind: WrongSymbol, Text: text, Remedy: remedy, Mixes: c.mixes(f, p.owner)})
	case MissingSymbol:
		text := fmt.Sprintf("%snothing exports %s%s", built, p.first, more)
		remedy := c.rebuild(f)
		if p.owner != nil { // which modprobe does not load
			name := p.owner.Name()
			text += fmt.Sprintf("; %s has it, but another %s is loaded", p.owner.Path, name)
			if other := c.taken[name]; other != nil {
				text += ", " + other.Path
				remedy = c.match(f, other)
			}
		} else if absent := c.absent(f); len(absent) > 0 {
			text += "; it depends on " + strings.Join(absent, ", ") + ", not among the modules that were given"
			remedy = "add what it depends on: give the whole tree (--modules), or put it beside"
		}
		c.add(f, Finding{Severity: Fault, Kind: MissingSymbol, Text: text, Remedy: remedy, Mixes: c.mixes(f, p.owner)})
	case GPLSymbol:
		c.find(Fault, GPLSymbol, f, fmt.Sprintf("%sits licence is %q, but %s exports %s%s to GPL modules only",
			built, f.Module.Field("license"), ownerName(p.owner), p.first, more),
			"ask its vendor for a module for this kernel")
	case WrongNamespace:
		severity, remedy := Fault, "rebuild it with MODULE_IMPORT_NS of that namespace"
		if c.kernel.Config.on("MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS") {
			severity = Warning
			remedy += "; this kernel only warns (CONFIG_MODULE_ALLOW_MISSING_NAMESPACE_IMPORTS)"
		}
		c.find(severity, WrongNamespace, f, fmt.Sprintf("%sit uses %s%s without importing the namespace",
			built, p.first, more), remedy)
	case Unreadable, WrongArch, WrongVermagic, WrongSignature, DuplicateSymbol, Dangling, Stale, Missing, Facts, TooOld:
	}
}

// mixes is what Finding.Mixes says of a module that a symbol of owner's is wrong for. Nil is the
// kernel, or nobody: then it was dropped by the package that one of the modules it depends on is
// of.
func (c *checker) mixes(f, owner *File) string {
	if foreign(f) {
		return ""
	}
	uses := f.Module.Depends()
	if owner != nil {
		uses = []string{owner.Name()}
	}
	for _, name := range uses {
		if taken := c.taken[nameOf(name)]; taken != nil && foreign(taken) {
			return taken.Path
		}
	}
	return ""
}

// absent are the modules that a module depends on, by what its maker said, and
// that nobody gave.
func (c *checker) absent(f *File) []string {
	return slices.DeleteFunc(f.Module.Depends(), func(name string) bool { return c.taken[name] != nil })
}

// chain explains why two modules do not fit each other.
func (c *checker) chain(f, owner *File) string {
	switch {
	case foreign(owner) && !foreign(f):
		return fmt.Sprintf(": it was built with the kernel's own %s, but modprobe loads %s", owner.Name(), owner.Path)
	case foreign(f) && !foreign(owner):
		return fmt.Sprintf(": it was built with another %s, but modprobe loads %s", owner.Name(), owner.Path)
	}
	return fmt.Sprintf(": it was built with another %s than %s", owner.Name(), owner.Path)
}

// match is the remedy for two modules that do not fit each other.
func (c *checker) match(f, owner *File) string {
	switch {
	case foreign(owner) && !foreign(f):
		return fmt.Sprintf("take all modules that use each other of one package, or the inbox drivers: leave %s out",
			owner.folder())
	case foreign(f) && !foreign(owner):
		return c.rebuild(f)
	case foreign(f):
		return fmt.Sprintf("rebuild both for %s from one source, or take the inbox drivers: leave %s out",
			c.kernel.Release, f.folder())
	}
	return reinstall
}

const reinstall = "kernel and modules are of different builds: take both from one package, and run depmod"

// rebuild is the remedy for a module that does not fit the kernel.
func (c *checker) rebuild(f *File) string {
	switch {
	case !foreign(f):
		return reinstall
	case strings.HasPrefix(f.Path, "weak-updates/"):
		return fmt.Sprintf("weak-updates keeps it from another kernel, and it does not fit: rebuild it for %s, or "+
			"take the link away (weak-modules --remove-modules)", c.kernel.Release)
	case openFabrics(f):
		return fmt.Sprintf("rebuild it for %s (MLNX_OFED: mlnxofedinstall --add-kernel-support), or take the inbox "+
			"driver: leave %s out", c.kernel.Release, f.folder())
	}
	return fmt.Sprintf("rebuild it for %s, or leave %s out", c.kernel.Release, f.folder())
}

// foreign tells a module that did not come with the kernel.
func foreign(f *File) bool {
	return !f.Module.InTree() || !strings.HasPrefix(f.Path, "kernel/") && strings.Contains(f.Path, "/")
}

// folder is what would be left out: the package's directory below updates/ or extra/.
func (f *File) folder() string {
	parts := strings.Split(path.Dir(f.Path), "/")
	switch {
	case parts[0] == "." || parts[0] == "kernel":
		return f.Path
	case parts[0] == "extra" && len(parts) > 1:
		return parts[0] + "/" + parts[1]
	case len(parts) > 1 && (parts[1] == "dkms" || strings.HasPrefix(parts[1], "mlnx")):
		return parts[0] + "/" + parts[1]
	}
	return parts[0]
}

// openFabrics tells a module of MLNX_OFED, DOCA or the like, by the directory or by a
// name that is of the RDMA stack.
func openFabrics(f *File) bool {
	if strings.Contains(f.Path, "mlnx") || strings.Contains(f.Path, "ofa_kernel") {
		return true
	}
	name := f.Name()
	return slices.ContainsFunc([]string{"mlx4_", "mlx5_", "mlx_compat", "mlxfw", "mlxdevm", "ib_", "rdma_", "iw_cm"},
		func(prefix string) bool {
			return strings.HasPrefix(name, prefix)
		})
}
