// Package arrows_test holds the imports against the arrows of docs/architecture.md, as .golangci.yml
// has them, without a linter.
package arrows_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

const (
	root   = "../.."
	module = "github.com/nodisk/nodisk/"
)

// A rule is one of depguard's.
type rule struct {
	Files []string `yaml:"files"`
	Deny  []struct {
		Pkg  string `yaml:"pkg"`
		Desc string `yaml:"desc"`
	} `yaml:"deny"`
}

// matches reports whether depguard holds the file, of that path in the module, against the rule.
func (r rule) matches(t *testing.T, file string) bool {
	t.Helper()
	in := false
	for _, pattern := range r.Files {
		place, except := strings.CutPrefix(pattern, "!")
		// golangci-lint's word for the directory of its configuration.
		place = strings.ReplaceAll(place, "${config-path}", "/module")
		text := strings.NewReplacer(`\*\*`, ".*", `\*`, "[^/]*").Replace(regexp.QuoteMeta(place))
		re, err := regexp.Compile("^" + text + "$")
		if err != nil {
			t.Fatalf("pattern %s: %v", pattern, err)
		}
		hit := re.MatchString("/module/" + file)
		if hit && except {
			return false
		}
		in = in || hit
	}
	return in
}

// denies returns the reason against an import, empty if there is none. A package that
// ends in "$" is meant without those below it.
func (r rule) denies(path string) string {
	for _, d := range r.Deny {
		only, exact := strings.CutSuffix(d.Pkg, "$")
		if path == only || !exact && strings.HasPrefix(path, d.Pkg) {
			return d.Desc
		}
	}
	return ""
}

// arrows are the rules of depguard that begin so.
func arrows(t *testing.T) map[string]rule {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(root, ".golangci.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var conf struct {
		Linters struct {
			Settings struct {
				Depguard struct {
					Rules map[string]rule `yaml:"rules"`
				} `yaml:"depguard"`
			} `yaml:"settings"`
		} `yaml:"linters"`
	}
	if err := yaml.Unmarshal(data, &conf); err != nil {
		t.Fatalf("read .golangci.yml: %v", err)
	}
	rules := conf.Linters.Settings.Depguard.Rules
	for name := range rules {
		if !strings.HasPrefix(name, "arrows-") {
			delete(rules, name)
		}
	}
	if len(rules) == 0 {
		t.Fatal("no rule begins with arrows-")
	}
	return rules
}

// imports calls visit for every import of a package of this module, tests included.
func imports(t *testing.T, visit func(file, path string)) {
	t.Helper()
	fset := token.NewFileSet()
	err := filepath.WalkDir(root, func(name string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir() && name != root && (strings.HasPrefix(e.Name(), ".") || e.Name() == "testdata"):
			return fs.SkipDir
		case e.IsDir() || !strings.HasSuffix(name, ".go"):
			return nil
		}
		parsed, err := parser.ParseFile(fset, name, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		file, err := filepath.Rel(root, name)
		if err != nil {
			return err
		}
		for _, i := range parsed.Imports {
			path, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			if strings.HasPrefix(path, module) {
				visit(filepath.ToSlash(file), path)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestArrows(t *testing.T) {
	rules, found := arrows(t), map[string]bool{}
	imports(t, func(file, path string) {
		for name, r := range rules {
			if !r.matches(t, file) {
				continue
			}
			found[name] = true
			if why := r.denies(path); why != "" {
				t.Errorf("%s imports %s: %s (%s of .golangci.yml)", file, path, why, name)
			}
		}
	})
	for name, r := range rules {
		if !found[name] {
			t.Errorf("%s is of %v, where no file is that imports a package of this module", name, r.Files)
		}
	}
}

// A rule that names a directory which has moved says nothing: each is shown an import that it forbids.
func TestArrowsForbid(t *testing.T) {
	rules := arrows(t)
	for file, path := range map[string]string{
		"netsetup/x.go":         "iscsi",
		"netsetup/y.go":         "netsetup/bringup",
		"netsetup/lease/x.go":   "netsetup",
		"netsetup/link/x.go":    "netsetup/lease",
		"iscsi/x.go":            "modload",
		"modload/x.go":          "init/linux",
		"internal/infile/x.go":  "netsetup/ibft",
		"init/rootfs/x.go":      "build/ko",
		"build/wol/x.go":        "integration",
		"netsetup/bringup/x.go": "netsetup/bringup/fakekernel",
	} {
		forbidden := false
		for _, r := range rules {
			forbidden = forbidden || r.matches(t, file) && r.denies(module+path) != ""
		}
		if !forbidden {
			t.Errorf("%s may import %s", file, path)
		}
	}
	for name, r := range rules {
		for _, d := range r.Deny {
			if _, err := os.Stat(filepath.Join(root, strings.TrimSuffix(strings.TrimPrefix(d.Pkg, module), "$"))); err != nil {
				t.Errorf("%s forbids %s: %v", name, d.Pkg, err)
			}
		}
	}
}

// What runs on a node imports nothing of the command's, and the program itself is part of that.
func TestArrowsOfInit(t *testing.T) {
	for _, path := range []string{"build", "integration/lab"} {
		forbidden := false
		for _, r := range arrows(t) {
			forbidden = forbidden || r.matches(t, "cmd/nodisk-init/x.go") && r.denies(module+path) != ""
		}
		if !forbidden {
			t.Errorf("cmd/nodisk-init may import %s", path)
		}
	}
}

// depguard matches the whole path of a file: a pattern that begins with any directory would hold
// all files of a clone at /home/me/build/nodisk against the arrows of build.
func TestArrowsOfCloneBelowBuild(t *testing.T) {
	for name, r := range arrows(t) {
		for _, pattern := range r.Files {
			if !strings.HasPrefix(pattern, "${config-path}/") && !strings.HasPrefix(pattern, "!") {
				t.Errorf("%s: %s is not of the module alone: begin with ${config-path}/", name, pattern)
			}
		}
	}
}
