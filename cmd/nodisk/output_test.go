package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// outputFlags make an image that holds little.
func outputFlags(t *testing.T) []string {
	t.Helper()
	kernel := kernelDir(t)
	return []string{"build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules", kernel, "--init",
		imageInit(t), "--profile", "ram", "--firmware", "none"}
}

func fileBytes(t *testing.T, at string) []byte {
	t.Helper()
	data, err := os.ReadFile(at)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// The standard output gets the image and nothing else; the summary goes beside it.
func TestBuildToStdout(t *testing.T) {
	flags := outputFlags(t)
	t.Chdir(t.TempDir())
	if status, _, stderr := nodisk(append(flags, "-o", "image")...); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	want := fileBytes(t, "image")
	for _, flag := range [][]string{{"-o", "-"}, {"-o-"}, {"--out=-"}, {"--out", "/dev/stdout"}} {
		status, stdout, stderr := nodisk(append(flags, flag...)...)
		if status != 0 || !bytes.Equal([]byte(stdout), want) {
			t.Errorf("%q: status %d, %d bytes on the standard output, want the image's %d: %s",
				flag, status, len(stdout), len(want), stderr)
		}
		if !strings.Contains(stderr, " in lz4, ") || !strings.Contains(stderr, "sha256 ") {
			t.Errorf("%q: no summary in %q", flag, stderr)
		}
	}
	if _, err := os.Lstat("-"); err == nil {
		t.Error(`there is a file called "-"`)
	}
	status, stdout, stderr := nodisk(append(flags, "-o", "again", "--sbom", "-")...)
	if status != 0 || !strings.HasPrefix(stdout, "{\n") || !strings.HasSuffix(stdout, "}\n") ||
		!strings.Contains(stderr, "again: ") {
		t.Errorf("--sbom -: status %d, %q, %q", status, stdout, stderr)
	}
	if err := os.WriteFile("key", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	status, stdout, stderr = nodisk("build", "--secret-only", "--secret", "key", "--secret-out", "-")
	quiet, again, silent := nodisk("build", "-q", "--secret-only", "--secret", "key", "--secret-out", "-")
	if quiet != 0 || again != stdout || silent != "" {
		t.Errorf("-q --secret-out -: status %d, %q, %q", quiet, again, silent)
	}
	if status != 0 || !strings.HasPrefix(stdout, "\x00\x00\x00\x00") || stderr != "secret /etc/nodisk/key, in the "+
		"standard output\n" {
		t.Errorf("--secret-out -: status %d, %q, %q", status, stdout, stderr)
	}
	status, stdout, stderr = nodisk(append(flags, "-o", "-", "--tree")...)
	if want := "nodisk: build: --tree reads the image again, and the standard output cannot be read twice: leave one " +
		"of them out\n"; status != exitUsage || stdout != "" || stderr != want {
		t.Errorf("--tree: status %d, %d bytes, %q; want %q", status, len(stdout), stderr, want)
	}
}

// Where the standard output is closed an image is not lost in silence; a shell's >/dev/null is meant.
func TestBuildToClosedStdout(t *testing.T) {
	flags := outputFlags(t)
	for redirection, want := range map[string]struct {
		status int
		text   string
	}{
		">&-": {exitFailed, "the standard output is closed, and nothing would be left of what is written: " +
			"give a file or a pipe"},
		">/dev/null": {0, ""},
	} {
		c, _ := command(t, append(flags, "-o", "-")...)
		c.Args = append([]string{"sh", "-c", `exec "$0" "$@" ` + redirection, c.Path}, c.Args[1:]...)
		c.Path = "/bin/sh"
		var stderr bytes.Buffer
		c.Stderr = &stderr
		_ = c.Run() // the status says it
		if got := c.ProcessState.ExitCode(); got != want.status || !strings.Contains(stderr.String(), want.text) {
			t.Errorf("%s: status %d, %q; want %d, %q", redirection, got, stderr.String(), want.status, want.text)
		}
	}
}

// No flag's file is overwritten by another's.
func TestBuildOntoInput(t *testing.T) {
	flags := outputFlags(t)
	dir := t.TempDir()
	t.Chdir(dir)
	kernel := fileBytes(t, flags[2])
	for name, text := range map[string][]byte{
		"kk": kernel, "conf": []byte("ip=dhcp\n"), "busybox": []byte("x"),
		"hw": []byte("pci:v00001AF4d00001000sv*sd*bc*sc*i*\n"), "key": []byte("x"),
		"images.yaml": []byte("images:\n- out: images.yaml\n  modules: /\n"),
	} {
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags[2] = "kk"
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"kernel":    {append(flags, "-o", "kk"), "write kk: it is what --kernel reads, and would be lost"},
		"config":    {append(flags, "--config", "conf", "-o", dir+"/conf"), "it is what --config reads"},
		"init":      {append(flags, "-o", flags[6]), "it is what --init reads"},
		"inventory": {append(flags, "--inventory", "hw", "-o", "hw"), "it is what --inventory reads"},
		"rescue":    {append(flags, "--rescue=busybox", "-o", "busybox"), "it is what --rescue reads"},
		"secrets": {append(flags, "--secret", "key", "--secret-out", "x.img", "-o", "x.img"),
			"write x.img: it is written twice, as --out and as --secret-out"},
		"sbom":   {append(flags, "--sbom", "x.img", "-o", "./x.img"), "it is written twice, as --out and as --sbom"},
		"images": {[]string{"build", "--images", "images.yaml"}, "write images.yaml: it is what --images reads"},
		"only secrets": {
			[]string{"build", "--secret-only", "--secret", "key", "--secret-out", "key"},
			"write key: it is what --secret reads",
		},
	} {
		status, _, stderr := nodisk(tt.args...)
		if status != exitFailed || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: status %d, %q; want %q", name, status, stderr, tt.want)
		}
	}
	if !bytes.Equal(fileBytes(t, "kk"), kernel) {
		t.Error("the kernel was overwritten")
	}
	if _, err := os.Stat("x.img"); err == nil {
		t.Error("x.img was written")
	}
}

// Of several images no one writes what another reads or writes.
func TestImagesOntoEachOther(t *testing.T) {
	flags := outputFlags(t)
	dir := t.TempDir()
	t.Chdir(dir)
	text := "common:\n  kernel: " + flags[2] + "\n  modules: " + flags[4] + "\nimages:\n- out: a\n- out: ./a\n- out: " +
		"b\n  config: c\n- out: c\n"
	for name, text := range map[string]string{"images.yaml": text, "c": "ip=dhcp\n"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	status, _, stderr := nodisk("build", "--images", "images.yaml")
	want := "images.yaml:\n" +
		"write ./a: it is written twice, as --out of image 1 (" + dir + "/images.yaml:5) and as --out of image 2 (" +
		dir + "/images.yaml:6): give each its own path\n" +
		"write c: it is what --config reads, and would be lost: give another path\n"
	if status != exitFailed || !strings.HasSuffix(stderr, want) {
		t.Errorf("status %d, %q; want %q", status, stderr, want)
	}
}

// What cannot be written is told, and is a failure, whatever was asked for.
func TestFullOutput(t *testing.T) {
	for _, args := range []string{
		"", "--version", "version", "--help", "build --help", "help", "help build", "man", "man build",
		"completion bash", "pxe --example",
		"build --list-profiles",
	} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		c, _ := command(t, strings.Fields(args)...)
		var stderr bytes.Buffer
		c.Stdout, c.Stderr = full, &stderr
		_ = c.Run() // the status says it
		if err := full.Close(); err != nil {
			t.Fatal(err)
		}
		if got, want := c.ProcessState.ExitCode(), "no space left on device\n"; got != exitFailed ||
			!strings.HasPrefix(stderr.String(), "nodisk: ") || !strings.HasSuffix(stderr.String(), want) {
			t.Errorf("nodisk %s: status %d, %q", args, got, stderr.String())
		}
	}
}

// A page that is there is replaced, not written over: who reads it has all of the old one, and two runs at once do not
// mix theirs.
func TestManReplaces(t *testing.T) {
	dir := t.TempDir()
	page, open := filepath.Join(dir, "nodisk.1"), filepath.Join(t.TempDir(), "open")
	if err := os.WriteFile(page, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(page, open); err != nil {
		t.Fatal(err)
	}
	if status, _, stderr := nodisk("man", "--dir", dir); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if text := fileBytes(t, open); string(text) != "old" {
		t.Errorf("the old page has %d bytes of the new one", len(text))
	}
	info, err := os.Stat(page)
	if err != nil || info.Mode().Perm() != 0o644 || info.Size() < 100 {
		t.Errorf("%v, %v", info, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || left != nil {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
