package testenv

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Tree makes files below a temporary directory, which it returns. A file's content
// that begins with "->" is the target of a link; one that begins with "!" makes a
// file that is not executable, as all others are.
func Tree(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if to, ok := strings.CutPrefix(content, "->"); ok {
			err = os.Symlink(to, path)
		} else if text, ok := strings.CutPrefix(content, "!"); ok {
			err = os.WriteFile(path, []byte(text), 0o644)
		} else {
			err = os.WriteFile(path, []byte(content), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}
