package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The kernel that runs: with its file, without one, and where there are no modules of it.
func TestRunningKernel(t *testing.T) {
	m := newMachine(t, map[string]string{})
	k, notes, err := running(m.root, m.release)
	if err != nil || len(k) != 1 || k[0].File != filepath.Join(m.root, "boot/vmlinuz-"+m.release) || notes != nil {
		t.Errorf("%v, %v, %v", k, notes, err)
	}
	k, notes, err = running(m.root, "6.1.0-without")
	if err != nil || len(k) != 1 || k[0].File != "" || len(notes) != 1 || !strings.Contains(notes[0], "taken on trust") {
		t.Errorf("%v, %v, %v", k, notes, err)
	}
	for root, want := range map[string]string{
		m.root:      "lib/modules/6.9; there are " + m.release + ", 6.1.0-without: --kver " + m.release + " makes an image for that one",
		t.TempDir(): "there are none: give the node's kernel by --kernel FILE and its modules by --modules DIR",
	} {
		if _, _, err := running(root, "6.9"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	if os.Geteuid() == 0 {
		return // root reads everything
	}
	at := filepath.Join(m.root, "boot/vmlinuz-6.1.0-without")
	if err := os.WriteFile(at, nil, 0); err != nil {
		t.Fatal(err)
	}
	k, notes, err = running(m.root, "6.1.0-without")
	if err != nil || k[0].File != "" || len(notes) != 1 || !strings.Contains(notes[0], "is for root to read") {
		t.Errorf("%v, %v, %v", k, notes, err)
	}
}
