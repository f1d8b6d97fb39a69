package main

import (
	"errors"
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
	if err != nil || len(k) != 1 || k[0].File != "" || len(notes) != 1 ||
		!strings.Contains(notes[0], "taken on trust") {
		t.Errorf("%v, %v, %v", k, notes, err)
	}
	for root, want := range map[string]string{
		m.root: "lib/modules/6.9; there are " + m.release + ", 6.1.0-without: --kver " + m.release +
			" makes an image for that one",
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

// Where there is no kernel that could be used, all of them cannot be made either, and nothing but a file of one mends
// that: --all fails as --kver all and the command without --kver do, with or without a message on the console.
func TestNoKernel(t *testing.T) {
	empty, m := t.TempDir(), newMachine(t,
		map[string]string{"images.d/a.yaml": "profile: virt\nout: OUT/a-{kver}.img\n"})
	if err := os.Remove(filepath.Join(m.root, "boot/vmlinuz-"+m.release)); err != nil {
		t.Fatal(err)
	}
	for root, want := range map[string]string{
		empty: "no modules in " + empty + " (lib/modules): install a kernel there",
		m.root: "none below " + m.root + " has both modules and a kernel's file: there are only the modules of " +
			m.release + ", 6.1.0-without",
	} {
		for _, args := range [][]string{
			{"--all"}, {"--all", "--quiet"}, {"--all", "--kver", "all", "--quiet"}, {"--all", "--dry-run"}, {"--image",
				"a", "--kver", "all"}, {"--kver", "all", "--quiet"},
		} {
			status, _, stderr := nodisk(append([]string{"build", "--sysroot", root, "--site", m.site, "--state",
				m.state}, args...)...)
			if status != exitFailed || strings.Count(stderr, want) != 1 {
				t.Errorf("%v in %s: status %d, want %q once in:\n%s", args, root, status, want, stderr)
			}
		}
	}
}

// An image for a root without a kernel fails --all, and does not keep the others from being made.
func TestNoKernelOfOneImage(t *testing.T) {
	m := newMachine(t, map[string]string{
		"images.d/here.yaml":  "profile: virt\nout: OUT/here-{kver}.img\n",
		"images.d/there.yaml": "profile: virt\nsysroot: ../elsewhere\nout: OUT/there-{kver}.img\n",
	})
	elsewhere := filepath.Join(m.site, "elsewhere")
	if err := os.Mkdir(elsewhere, 0o700); err != nil {
		t.Fatal(err)
	}
	args := []string{"build", "--site", m.site, "--state", m.state, "--all"}
	here := filepath.Join(m.site, "images.d/here.yaml")
	text := append(fileBytes(t, here), "sysroot: "+m.root+"\n"...)
	if err := os.WriteFile(here, text, 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, stderr := nodisk(args...)
	if want := "image there (" + m.site + "/images.d/there.yaml): find kernel: no modules in " +
		elsewhere; status != exitFailed || !strings.Contains(stderr, want) {
		t.Errorf("status %d, want %q in:\n%s", status, want, stderr)
	}
	if got := m.outs(t); len(got) != 1 || got[0] != "here-R.img" {
		t.Errorf("made: %q", got)
	}
	// A hook of a kernel that the other root does not have is none of that image's business.
	if status, _, stderr := nodisk(append(args, "--quiet", "--kver", m.release)...); status != 0 {
		t.Errorf("with --kver: status %d: %s", status, stderr)
	}
}

// What is advised can be done: a release without a kernel's file is not one for --kver alone.
func TestKernelAdvice(t *testing.T) {
	const whole, bare = "6.2-whole", "6.1-bare" // which comes first
	plant := func(files ...string) string {
		t.Helper()
		root := t.TempDir()
		for _, name := range files {
			at := filepath.Join(root, name)
			if err := errors.Join(os.MkdirAll(filepath.Dir(at), 0o700), os.WriteFile(at, nil, 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		return root
	}
	both := plant("lib/modules/"+bare+"/modules.dep", "lib/modules/"+whole+"/modules.dep", "boot/vmlinuz-"+whole)
	none := plant("lib/modules/"+bare+"/modules.dep", "lib/modules/6.3-bare/modules.dep")
	one := plant("lib/modules/" + bare + "/modules.dep")
	for root, want := range map[string]string{
		both: "there are " + bare + ", " + whole + ": --kver " + whole + " makes an image for that one",
		none: "there are " + bare + ", 6.3-bare: give the node's kernel by --kernel FILE and its modules by " +
			"--modules DIR",
		one: "there is " + bare + ": give the node's kernel by --kernel FILE",
	} {
		if _, _, err := running(root, "6.9"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the kernel that runs: %v, want %s", err, want)
		}
	}
	for root, want := range map[string]string{
		both: "give --kver RELEASE, or --kver all for an image of each; without a kernel's file, by --kernel FILE: " +
			bare,
		none: "all without a file such as boot/vmlinuz-RELEASE: give --kver RELEASE and the file by --kernel FILE",
	} {
		if _, _, err := only(root); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("several: %v, want %s", err, want)
		}
	}
	_, notes, err := only(one)
	if want := "no file of kernel " + bare + " in " + one; err != nil || len(notes) != 1 ||
		!strings.HasPrefix(notes[0], want) {
		t.Errorf("%v, %v, want %s", notes, err, want)
	}
}
