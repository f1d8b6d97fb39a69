package abi

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
)

// Check judges the modules of one kernel. Findings are sorted: faults first,
// then by module. It does not change its arguments.
func Check(kernel Kernel, modules []File, conf Config) Report {
	c := &checker{kernel: kernel, vermagic: kernel.Vermagic, report: Report{Release: kernel.Release}}
	for i := range modules {
		f := &modules[i]
		if f.Module == nil {
			c.unreadable(f)
			continue
		}
		c.files = append(c.files, f)
		if f.Shadowed {
			continue
		}
		c.report.Modules++
		if !f.Module.InTree() {
			c.report.OutOfTree++
		}
	}
	if c.vermagic == "" {
		c.vermagic = usualVermagic(kernel.Release, c.files)
	}
	if conf.Symbols {
		c.index()
		c.duplicates()
	}
	for _, f := range c.files {
		if f.Shadowed {
			continue
		}
		if c.header(f) && conf.Symbols {
			c.symbols(f)
		}
	}
	c.between()
	c.signatures()
	c.unjudgedNote()
	Sort(c.report.Findings)
	return c.report
}

// Sort orders findings: the worst first, then by module, kind and text.
func Sort(findings []Finding) {
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Severity, b.Severity), strings.Compare(a.Module, b.Module),
			cmp.Compare(a.Kind, b.Kind), strings.Compare(a.Path, b.Path), strings.Compare(a.Text, b.Text))
	})
}

type checker struct {
	kernel   Kernel
	vermagic string  // the kernel's
	files    []*File // that could be read
	report   Report

	exports  map[string]ko.Symbol // of the kernel
	complete bool                 // exports are all there are
	owners   map[string][]*export // by symbol: modules that are loaded
	shadowed map[string]*File     // by symbol: a module that is not loaded
	taken    map[string]*File     // by name: the module that is loaded
	unjudged map[string]bool      // symbols of which nothing is known
	pending  []pending            // what is wrong between two modules
}

func (c *checker) find(s Severity, k Kind, f *File, text, remedy string) {
	c.add(f, Finding{Severity: s, Kind: k, Text: text, Remedy: remedy})
}

// add takes up a finding about a module, or about none.
func (c *checker) add(f *File, found Finding) {
	if f != nil {
		found.Module, found.Path = f.Name(), f.Path
	}
	c.report.Findings = append(c.report.Findings, found)
}

func (c *checker) unreadable(f *File) {
	text := "it cannot be read"
	if f.Err != nil {
		text = f.Err.Error()
	}
	severity := Fault
	if f.Shadowed {
		severity = Warning
	}
	c.find(severity, Unreadable, f, text, "install the package it comes from again")
}

// usualVermagic is that of most in-tree modules of the release, where the
// kernel does not tell its own.
func usualVermagic(release string, files []*File) string {
	count := make(map[string]int)
	best := ""
	for _, f := range files {
		if f.Shadowed || !f.Module.InTree() || f.Module.Release() != release {
			continue
		}
		v := f.Module.Vermagic()
		count[v]++
		if count[v] > count[best] || count[v] == count[best] && v < best {
			best = v
		}
	}
	return best
}

// header checks what the kernel looks at before any symbol, and reports whether
// symbols are worth a look.
func (c *checker) header(f *File) bool {
	m, kernel := f.Module, c.kernel
	if kernel.Arch != "" && m.Arch != kernel.Arch {
		c.find(Fault, WrongArch, f, fmt.Sprintf("it is for %s, the kernel is for %s", m.Arch, kernel.Arch),
			"install the package of this architecture")
		return false
	}
	magic := m.Vermagic()
	if magic == "" {
		severity, remedy := Fault, "rebuild it as a module of this kernel"
		if kernel.Config.on("MODULE_FORCE_LOAD") {
			severity = Warning
			remedy += "; this kernel takes it and is tainted (CONFIG_MODULE_FORCE_LOAD)"
		}
		c.find(severity, WrongVermagic, f, "it has no vermagic", remedy)
		return severity != Fault
	}
	release, flags, _ := strings.Cut(magic, " ")
	wantRelease, wantFlags, _ := strings.Cut(c.vermagic, " ")
	if c.vermagic == "" {
		wantRelease, wantFlags = kernel.Release, flags
	}
	// kernel/module/version.c, same_magic: with __versions the release is not
	// compared. Extended versions alone do not count there.
	versioned := m.Versions&ko.BasicVersions != 0
	if c.vermagic != "" {
		versioned = versioned && hasWord(wantFlags, "modversions")
	}
	switch {
	case flags != wantFlags:
		c.find(Fault, WrongVermagic, f, fmt.Sprintf("version magic %q should be %q: %s",
			strings.TrimSpace(magic), strings.TrimSpace(c.vermagic), flagsDiffer(flags, wantFlags)), c.rebuild(f))
		return false
	case release != wantRelease && !versioned:
		c.find(Fault, WrongVermagic, f, fmt.Sprintf("it was built for %s, and has no symbol versions by which %s "+
			"could tell that it fits", release, wantRelease), c.rebuild(f))
		return false
	}
	return true
}

// flagsDiffer says which build flags one side has and the other has not.
func flagsDiffer(module, kernel string) string {
	only := func(a, b string) []string {
		return slices.DeleteFunc(strings.Fields(a), func(word string) bool { return hasWord(b, word) })
	}
	var parts []string
	if words := only(module, kernel); words != nil {
		parts = append(parts, "only the module has "+strings.Join(words, " "))
	}
	if words := only(kernel, module); words != nil {
		parts = append(parts, "only the kernel has "+strings.Join(words, " "))
	}
	if parts == nil {
		return "the build flags differ"
	}
	return strings.Join(parts, ", ")
}

func hasWord(text, word string) bool { return slices.Contains(strings.Fields(text), word) }

// signatures judges what the configuration says of them.
func (c *checker) signatures() {
	force := c.kernel.Config.on("MODULE_SIG_FORCE")
	keys := make(map[string]int)
	usual, signed := "", 0
	for _, f := range c.files {
		if s := f.Module.Signature; s != nil && s.Fault == "" && f.Module.InTree() {
			signed++
			keys[s.KeyID]++
			if keys[s.KeyID] > keys[usual] {
				usual = s.KeyID
			}
		}
	}
	unsigned := 0
	for _, f := range c.files {
		s := f.Module.Signature
		switch {
		case f.Shadowed:
		case s != nil && s.Fault != "":
			// mod_verify_sig: what cannot be parsed is refused even where
			// signatures are not required.
			severity := Fault
			if c.kernel.Config != nil && !c.kernel.Config.on("MODULE_SIG") {
				severity = Note
			}
			c.find(severity, WrongSignature, f, "its signature cannot be read: "+s.Fault,
				"sign it again, or take the signature off (strip --strip-debug)")
		case s == nil && force:
			c.find(Fault, WrongSignature, f, "it is not signed, and the kernel takes only signed modules "+
				"(CONFIG_MODULE_SIG_FORCE)",
				"sign it with a key that the kernel trusts (scripts/sign-file of its headers)")
		case s == nil:
			unsigned++
		case s.KeyID != usual && !f.Module.InTree() && force:
			c.find(Warning, WrongSignature, f,
				fmt.Sprintf("it is signed by another key (%s) than the kernel's own modules", signer(s)),
				"make sure that the node trusts this key (mokutil --list-enrolled)")
		}
	}
	if signed > 0 && unsigned > 0 {
		c.find(Note, WrongSignature, nil, fmt.Sprintf("%d of %d modules are not signed: a kernel that is locked down "+
			"(Secure Boot, lockdown=) refuses them", unsigned, c.report.Modules), "")
	}
}

func signer(s *ko.Signature) string {
	if s.Signer != "" {
		return s.Signer
	}
	return "key " + s.KeyID
}
