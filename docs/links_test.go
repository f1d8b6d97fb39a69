// Package docs_test holds what the documents name against the tree.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/modload"
)

// Links between documents, and files of the tree that they name, are there.
func TestLinks(t *testing.T) {
	const root = ".."
	link := regexp.MustCompile(`\]\(([^)#: ]+)(#[^)]*)?\)`)
	named := regexp.MustCompile("`((?:build|cmd|docs|init|integration|internal|iscsi|modload|netsetup|scripts)/[\\w./-]*\\.(?:go|json|md|sh|txt|ya?ml))`")
	documents := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && strings.HasPrefix(d.Name(), "."):
			return fs.SkipDir
		case filepath.Ext(path) != ".md":
			return nil
		}
		documents++
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(path), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", path, m[1], err)
			}
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			_, inTree := os.Stat(filepath.Join(root, m[1]))
			_, beside := os.Stat(filepath.Join(filepath.Dir(path), m[1]))
			if inTree != nil && beside != nil {
				t.Errorf("%s: names %s: %v", path, m[1], inTree)
			}
		}
		return nil
	})
	if err != nil || documents < 10 {
		t.Errorf("%d documents, %v", documents, err)
	}
}

// README's table has every profile.
func TestProfiles(t *testing.T) {
	text, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range modload.Profiles() {
		if !regexp.MustCompile("(?m)^\\|[^|]*`" + p.Name + "`").Match(text) {
			t.Errorf("README.md has no row for profile %s: %s", p.Name, p.Doc)
		}
	}
}
