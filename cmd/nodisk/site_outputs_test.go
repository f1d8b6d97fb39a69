package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Images of a site that would be one file, or cannot be written, are not made and are named by their files; the others
// are made.
func TestSiteOutputs(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":          "profile: ram\nfirmware: none\n",
		"images.d/clash.yaml": "out: OUT/one.img\n",
		"images.d/free.yaml":  "out: OUT/free.img\n",
		"images.d/gone.yaml":  "out: OUT/not-mounted/gone.img\n",
		"images.d/other.yaml": "out: OUT/../out/one.img\n",
	})
	status, _, stderr := m.build("--all", "--quiet", "--kver", m.release)
	for _, want := range []string{
		"write " + m.out + "/../out/one.img: it is written twice, as --out of image clash (" + m.site +
			"/images.d/clash.yaml:1) " +
			"and as --out of image other (" + m.site + "/images.d/other.yaml:1): give each its own path\n",
		"write --out of image gone (" + m.site + "/images.d/gone.yaml:1): " + m.out + "/not-mounted/gone.img: there " +
			"is no directory",
	} {
		if status != exitFailed || strings.Count(stderr, want) != 1 {
			t.Errorf("status %d: %s\nlacks %s", status, stderr, want)
		}
	}
	if diff := cmp.Diff([]string{"free.img"}, m.outs(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is written as it comes is for one image alone, where "-" is not a file of that name.
func TestSiteStreams(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":         "profile: ram\nfirmware: none\n",
		"images.d/one.yaml":  "out: '-'\n",
		"images.d/pipe.yaml": "out: OUT/pipe\n",
	})
	pipe := filepath.Join(m.out, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"--all"}, {"--image", "one", "--image", "pipe"}} {
		status, stdout, stderr := m.build(append(args, "--kver", m.release)...)
		want := "nodisk: build: image one (" + m.site + "/images.d/one.yaml:1): the standard output keeps no image " +
			"until its kernel goes: " +
			"give a file, or make this image alone, by --image\nimage pipe (" + m.site + "/images.d/pipe.yaml:1): " +
			pipe + " keeps no image"
		if status != exitFailed || stdout != "" || !strings.HasPrefix(stderr, want) {
			t.Errorf("%q: status %d, %d bytes, %s\nwant %s", args, status, len(stdout), stderr, want)
		}
	}
	status, stdout, stderr := m.build("--image", "one", "--kver", m.release)
	if status != 0 || len(stdout) < 1000 || !strings.Contains(stderr, "the standard output (ram)") {
		t.Errorf("--image one: status %d, %d bytes, %s", status, len(stdout), stderr)
	}
	read, done := make(chan []byte), make(chan error)
	go func() {
		data, err := os.ReadFile(pipe)
		read <- data
		done <- err
	}()
	status, _, stderr = m.build("--image", "pipe", "--kver", m.release)
	// A reader that nobody has written for is let go.
	if f, err := os.OpenFile(pipe, os.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
		_ = f.Close()
	}
	data, err := <-read, <-done
	if status != 0 || err != nil || !bytes.Equal(data, []byte(stdout)) {
		t.Errorf("--image pipe: status %d, %v, %d bytes, %s", status, err, len(data), stderr)
	}
	if _, err := os.Lstat(filepath.Join(m.site, "images.d/-")); err == nil {
		t.Error(`there is a file called "-"`)
	}
	if entries, err := os.ReadDir(m.state); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a stream is remembered as a file: %v, %v", entries, err)
	}
}

// The files of the site are what a build reads.
func TestSiteFilesAreInputs(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":      "profile: ram\nfirmware: none\n",
		"images.d/a.yaml": "out: a.yaml\n",
		"images.d/b.yaml": "out: ../build.yaml\n",
	})
	build, image := filepath.Join(m.site, "build.yaml"), filepath.Join(m.site, "images.d/a.yaml")
	before := string(fileBytes(t, build)) + string(fileBytes(t, image))
	for _, tt := range []struct {
		args []string
		want []string
	}{
		{[]string{"-o", build}, []string{build}},
		{[]string{"-o", image}, []string{image}},
		{[]string{"--image", "a"}, []string{image}},
		{[]string{"--all"}, []string{image, build}},
	} {
		status, _, stderr := m.build(append(tt.args, "--kver", m.release)...)
		for _, at := range tt.want {
			if want := "write " + at + ": it is what --site reads, and would be lost: give " +
				"another path\n"; status != exitFailed || !strings.Contains(stderr, want) {
				t.Errorf("%q: status %d, %s; want %s", tt.args, status, stderr, want)
			}
		}
	}
	if after := string(fileBytes(t, build)) + string(fileBytes(t, image)); after != before {
		t.Errorf("the files are now %q", after)
	}
}

// An image among the records would be read as one of them, by whatever build it is made.
func TestStateIsAnInput(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":      "profile: ram\nfirmware: none\n",
		"images.d/a.yaml": "out: " + filepath.Join("..", "a.img") + "\n",
	})
	if status, _, stderr := m.build("--image", "a", "--kver", m.release); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	record := filepath.Join(m.state, m.release)
	before := string(fileBytes(t, record))
	for _, out := range []string{record, filepath.Join(m.state, "new.img")} {
		for _, args := range [][]string{{"--image", "a", "-o", out}, {"-o", out}, {"-o", filepath.Join(m.site, "b.img"),
			"--sbom", out}} {
			status, _, stderr := m.build(append(args, "--kver", m.release)...)
			if want := "write " + out + ": it is in " + m.state + ", which --state reads: give a " +
				"path elsewhere\n"; status != exitFailed || !strings.Contains(stderr, want) {
				t.Errorf("%q: status %d, %s; want %s", args, status, stderr, want)
			}
		}
	}
	if after := string(fileBytes(t, record)); after != before {
		t.Errorf("the record is now %q", after)
	}
	below := filepath.Join(m.state, "images") // is not a record
	if err := os.Mkdir(below, 0o700); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := m.build("--image", "a", "-o", filepath.Join(below, "a.img"), "--kver",
		m.release); status != 0 {
		t.Errorf("status %d: %s", status, stderr)
	}
}

// A kernel that is named twice is one, and none is said to be so.
func TestKverTwice(t *testing.T) {
	m := newMachine(t, map[string]string{"build.yaml": "profile: ram\nfirmware: none\n"})
	out := filepath.Join(m.site, "x-{kver}.img")
	if status, stdout, stderr := m.build("--kver", m.release, "--kver", m.release, "-o", out); status != 0 ||
		strings.Contains(stdout+stderr, ":0") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	const empty = "--kver is empty: give a release such as 6.1.0-56-amd64 (uname -r)"
	if status, _, stderr := m.build("--kver", ""); status != exitUsage || !strings.Contains(stderr, empty) {
		t.Errorf("build: status %d: %s", status, stderr)
	}
	if status, _, stderr := nodisk("clean", "--state", m.state, "--kver", ""); status != exitUsage ||
		!strings.Contains(stderr, empty) {
		t.Errorf("clean: status %d: %s", status, stderr)
	}
}

// An image where the administrator's own link leads is nodisk's, and the link is not.
func TestSiteLink(t *testing.T) {
	m := newMachine(t, map[string]string{
		"build.yaml":        "profile: ram\nfirmware: none\n",
		"images.d/cur.yaml": "out: OUT/cur.img\n",
	})
	if err := os.Symlink("target.img", filepath.Join(m.out, "cur.img")); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := m.build("--all", "--kver", m.release); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if diff := cmp.Diff([]string{"cur.img", "target.img"}, m.outs(t)); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	status, stdout, stderr := nodisk("clean", "--state", m.state, "--kver", m.release)
	if status != 0 || !strings.Contains(stdout, "target.img, of "+m.release+": removed\n") {
		t.Errorf("status %d: %s%s", status, stdout, stderr)
	}
	if diff := cmp.Diff([]string{"cur.img"}, m.outs(t)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What is of one image is not left undone silently.
func TestSeveralRefuse(t *testing.T) {
	m := newMachine(t, map[string]string{"images.d/a.yaml": "profile: ram\nout: OUT/a.img\n"})
	for flag, want := range map[string]string{
		"--secret-only": "--secret-only writes the secrets of one image", "--tree": "--tree is for one image",
	} {
		if status, _, stderr := m.build("--all", "--kver", m.release, flag); status != exitFailed ||
			!strings.Contains(stderr, want) {
			t.Errorf("%s: status %d, %s", flag, status, stderr)
		}
	}
	if got := m.outs(t); len(got) != 0 {
		t.Errorf("it wrote %v", got)
	}
}
