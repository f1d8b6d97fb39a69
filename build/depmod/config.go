package depmod

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/internal/linescan"
)

// A Config is what depmod.d(5) says. Its zero value searches updates, extra,
// the rest, and weak-updates, the order that most distributions ship.
type Config struct {
	// Search is the order of directories below lib/modules/RELEASE, the winning one
	// first; "built-in" stands for all that no other entry names, "external" for
	// the External directories.
	Search    []string
	Overrides []Override
	External  []External
	Exclude   []string // names of directories and files that are passed over
	// Kernel are the symbols that the kernel itself exports. When there are any,
	// symbols that nobody exports are told.
	Kernel []ko.Symbol
}

// An Override makes the file of one directory win, whatever the search order is.
type Override struct {
	Module string // the file's name without ".ko", spelled as there
	Kernel string // extended regular expression for the release, or "*"
	Dir    string // below lib/modules/RELEASE
}

// An External directory lies outside of lib/modules/RELEASE.
type External struct {
	Kernel string // extended regular expression for the release, or "*"
	Dir    string // absolute
}

const (
	searchBuiltin  = "built-in"
	searchExternal = "external"
)

// defaultSearch is that of RHEL and its kin (dist.conf of their kmod package).
// kmod itself has only "updates"; between the others its choice is then left to the
// order of the directory.
func defaultSearch() []string { return []string{"updates", "extra", searchBuiltin, "weak-updates"} }

// ParseConfig reads one file of depmod.d and adds to c what it says. name is
// the file's, for errors. All wrong lines are reported, joined; they have no
// effect.
func (c *Config) ParseConfig(r io.Reader, name string) error {
	var errs []error
	text := linescan.New(r, linescan.Longest)
	for text.Scan() {
		first, line := text.Number(), text.Text()
		for strings.HasSuffix(line, "\\") && text.Scan() {
			line = strings.TrimSuffix(line, "\\") + text.Text()
		}
		if strings.HasPrefix(line, "#") {
			continue
		}
		if err := c.parseLine(strings.FieldsFunc(line, func(r rune) bool {
			return r == ' ' || r == '\t'
		})); err != nil {
			errs = append(errs, fmt.Errorf("read %s: line %d: %w", name, first, err))
		}
	}
	if err := text.Err(); err != nil {
		errs = append(errs, fmt.Errorf("read %s: %w", name, err))
	}
	return errors.Join(errs...)
}

func (c *Config) parseLine(words []string) error {
	if len(words) == 0 {
		return nil
	}
	args := words[1:]
	switch words[0] {
	case "search":
		c.Search = append(c.Search, args...)
	case "exclude":
		c.Exclude = append(c.Exclude, args...)
	case "override":
		if len(args) < 3 {
			return errors.New(`"override" wants a module, a kernel version or *, and a directory`)
		}
		c.Overrides = append(c.Overrides, Override{Module: args[0], Kernel: args[1], Dir: args[2]})
		return checkPattern(args[1])
	case "external":
		if len(args) < 2 || !strings.HasPrefix(args[1], "/") {
			return errors.New(`"external" wants a kernel version or *, and an absolute directory`)
		}
		c.External = append(c.External, External{Kernel: args[0], Dir: args[1]})
		return checkPattern(args[0])
	case "include", "make_map_files":
		// Known since module-init-tools, without effect in kmod.
	default:
		if strings.HasPrefix(words[0], "make_map_") {
			return nil
		}
		return fmt.Errorf("unknown word %q: depmod.d(5) has search, override, external and exclude", words[0])
	}
	return nil
}

func checkPattern(pattern string) error {
	if pattern == "*" {
		return nil
	}
	if _, err := regexp.CompilePOSIX(pattern); err != nil {
		return fmt.Errorf("kernel version %q is not an extended regular expression: %w", pattern, err)
	}
	return nil
}

// suits reports whether a pattern means this release.
func suits(pattern, release string) bool {
	if pattern == "*" {
		return true
	}
	re, err := regexp.CompilePOSIX(pattern)
	return err == nil && re.MatchString(release)
}

// configDirs are the directories of depmod.d(5): a file of one masks those of the
// same name in all after it.
func configDirs() []string {
	return []string{"etc/depmod.d", "run/depmod.d", "usr/local/lib/depmod.d", "lib/depmod.d", "usr/lib/depmod.d"}
}

// ReadConfig reads all of depmod.d in a file system rooted at "/". Wrong lines
// are errors, joined; the rest of the config is returned with them.
func ReadConfig(fsys fs.FS) (Config, error) {
	type file struct{ name, path string }
	var files []file
	for _, dir := range configDirs() {
		entries, err := fs.ReadDir(fsys, dir)
		if err != nil {
			continue // no such directory
		}
		for _, e := range entries {
			name := e.Name()
			if !strings.HasSuffix(name, ".conf") || strings.HasPrefix(name, ".") || e.IsDir() ||
				slices.ContainsFunc(files, func(f file) bool { return f.name == name }) {
				continue
			}
			files = append(files, file{name, dir + "/" + name})
		}
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	var c Config
	var errs []error
	for _, f := range files {
		at, err := follow(fsys, f.path)
		if err != nil {
			errs = append(errs, fmt.Errorf("read /%s: %w", f.path, err))
			continue
		}
		data, err := fs.ReadFile(fsys, at)
		if err != nil {
			errs = append(errs, fmt.Errorf("read /%s: %w", f.path, err))
			continue
		}
		errs = append(errs, c.ParseConfig(strings.NewReader(string(data)), "/"+f.path))
	}
	return c, errors.Join(errs...)
}
