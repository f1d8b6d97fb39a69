package boot

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/nodisk/nodisk/internal/testenv"
)

func TestDeleteTreeStaysBelow(t *testing.T) {
	outside := testenv.Tree(t, map[string]string{"keep": "x"})
	root := testenv.Tree(t, map[string]string{"a/b/c": "x", "d": "x", "link": "->" + outside, "a/up": "->../../.."})
	r, err := os.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(root)
	if err != nil {
		t.Fatal(err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no device number")
	}
	deleteTree(r, st.Dev)
	if left, err := os.ReadDir(root); err != nil || len(left) != 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	if _, err := os.Stat(filepath.Join(outside, "keep")); err != nil {
		t.Errorf("a link was followed: %v", err)
	}
	// Another device is another world.
	other := testenv.Tree(t, map[string]string{"a/b": "x"})
	if r, err = os.Open(other); err != nil {
		t.Fatal(err)
	}
	deleteTree(r, st.Dev+1)
	if _, err := os.Stat(filepath.Join(other, "a/b")); err != nil {
		t.Errorf("a mount was entered: %v", err)
	}
}

func TestConsoleLevelOfProc(t *testing.T) {
	for text, want := range map[string]int{"7\t4\t1\t7\n": 7, "0 4 1 7": 0, "": 0, "x": 0} {
		if got := consoleLevel(text); got != want {
			t.Errorf("consoleLevel(%q) = %d, want %d", text, got, want)
		}
	}
}
