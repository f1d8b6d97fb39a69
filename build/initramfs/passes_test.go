package initramfs

import (
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/cpiotest"
)

// What was not loaded can be looked up, and not read.
func TestNotLoaded(t *testing.T) {
	data := cpiotest.Archive(cpiotest.Dir("d"), cpiotest.Regular("d/a", "aa"), cpiotest.Regular("d/b", "bbb"), cpiotest.Regular("d/empty", ""))
	r, err := ReadSource(t.Context(), BytesSource(data), false)
	if err != nil {
		t.Fatal(err)
	}
	var visited []string
	err = r.Read(t.Context(), []string{"d/a", "d/none"},
		func(name string) bool { return strings.HasPrefix(name, "d/") },
		func(names []string, size int64, content io.Reader) error {
			text, err := io.ReadAll(content)
			visited = append(visited, fmt.Sprintf("%v %d %s", names, size, text))
			return err
		})
	if want := "[[d/a] 2 aa [d/b] 3 bbb [d/empty] 0 ]"; err != nil || fmt.Sprint(visited) != want {
		t.Errorf("visited %v, %v, want %s", visited, err, want)
	}
	sub, err := fs.Sub(r.FS(), "d")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"a": "aa", "empty": ""} {
		if text, err := fs.ReadFile(sub, name); err != nil || string(text) != want {
			t.Errorf("%s: %q, %v", name, text, err)
		}
	}
	if info, err := fs.Stat(sub, "b"); err != nil || info.Size() != 3 {
		t.Errorf("d/b: %v, %v", info, err)
	}
	if _, err := fs.ReadFile(sub, "b"); err == nil ||
		!strings.HasSuffix(err.Error(), "it was not loaded from the image") {
		t.Errorf("d/b was read: %v", err)
	}
}
