package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/build/program"
	"github.com/nodisk/nodisk/internal/testenv"
)

func kernelDir(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("NODISK_KERNEL_DIR")
	if dir == "" {
		dir = filepath.Join("..", "..", ".cache", "kernel")
	}
	_, err := os.Stat(filepath.Join(dir, "vmlinuz"))
	testenv.Needs(t, err == nil, "a kernel in NODISK_KERNEL_DIR or .cache/kernel (scripts/fetch-kernel makes it)")
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func nodisk(args ...string) (status int, stdout, stderr string) {
	var out, err bytes.Buffer
	status = run(args, &out, &err)
	return status, out.String(), err.String()
}

func TestUsage(t *testing.T) {
	for name, tt := range map[string]struct {
		args   []string
		status int
		want   string // in either output
	}{
		"--help":          {[]string{"--help"}, 0, "inspect"},
		"build help":      {[]string{"build", "--help"}, 0, "SOURCE_DATE_EPOCH"},
		"version":         {[]string{"version"}, 0, "nodisk "},
		"--version":       {[]string{"--version"}, 0, "/init inside"},
		"no command":      {nil, exitUsage, "nodisk --help"},
		"first steps":     {nil, exitUsage, "nodisk build --out node.img"},
		"all commands":    {nil, exitUsage, "\n  completion "},
		"help":            {[]string{"help"}, 0, "inspect"},
		"help build":      {[]string{"help", "build"}, 0, "SOURCE_DATE_EPOCH"},
		"help of nothing": {[]string{"help", "bild"}, exitUsage, `unexpected argument bild, did you mean "build"?`},
		"-f of nothing": {
			[]string{"inspect", "x", "-f"},
			exitUsage,
			"--file needs a value: --file FILE; nodisk inspect",
		},
		"flag twice": {
			[]string{"build", "--modules", "nowhere", "-o", "a", "--out", "b"},
			exitFailed,
			"warning: --out takes one value, and is given more than once: the last one counts\n",
		},
		"dracut's": {
			[]string{"build", "--regenerate-all"},
			exitUsage,
			"unknown flag --regenerate-all: --kver all makes",
		},
		"dracut's value": {
			[]string{"build", "--add-drivers=e1000"},
			exitUsage,
			"unknown flag --add-drivers: --module NAME",
		},
		"dracut's letter": {[]string{"build", "-f", "x.img"}, exitUsage, "unknown flag -f: it is not needed"},
		"no such profile": {
			[]string{"build", "--profile", "eht"},
			exitUsage,
			"--profile: no profile eht (did you mean eth?); there are",
		},
		"empty profile": {
			[]string{"build", "--profile", "eth,,nfs"},
			exitUsage,
			`--profile: an empty name of a profile in "eth,,nfs": remove a comma`,
		},
		"statuses": {[]string{"--help"}, 0, "Exit status: 0 it is done; 1 "},
		"directory as image": {[]string{"inspect", "."}, exitUsage, "inspect: open .: it is a directory: give the " +
			"file of an image"},
		"directory to plan": {[]string{"plan", "--image", "."}, exitUsage, "plan: open .: it is a directory: give " +
			"the file of an image"},
		"typo": {[]string{"biuld"}, exitUsage, `did you mean "build"?`},
		"typo in a flag": {
			[]string{"build", "--kernl", "x"},
			exitUsage,
			`did you mean "--kernel"?; nodisk build --help`,
		},
		"no image":         {[]string{"inspect"}, exitUsage, "inspect: which IMAGE? usage: nodisk inspect <image>"},
		"no shell":         {[]string{"completion"}, exitUsage, "completion: which SHELL?"},
		"no such shell":    {[]string{"completion", "tcsh"}, exitUsage, `"bash","zsh","fish"`},
		"words of plan":    {[]string{"plan", "root=dhcp", "ip=dhcp"}, 0, "would boot"},
		"compression":      {[]string{"build", "--compress", "bzip2"}, exitUsage, "lz4, zstd, gzip, xz, none"},
		"addition":         {[]string{"build", "--add", "x:"}, exitUsage, "SRC:DST"},
		"module directory": {[]string{"build", "--module-dir", "nowhere"}, exitUsage, "nowhere"},
		"no such image":    {[]string{"inspect", "nowhere"}, exitUsage, "nowhere"},
		"rubbish as image": {[]string{"inspect", "main_test.go"}, exitFailed, "main_test.go: inspect image: neither"},
		"source is not ours": {
			[]string{"build", "--modules", ".", "--from-source=" + os.TempDir()}, exitFailed, "build: find modules",
		},
	} {
		t.Run(name, func(t *testing.T) {
			status, stdout, stderr := nodisk(tt.args...)
			if status != tt.status || !strings.Contains(stdout+stderr, tt.want) {
				t.Errorf("status %d, want %d and %q in:\n%s%s", status, tt.status, tt.want, stdout, stderr)
			}
		})
	}
}

// What cannot be used is said once.
func TestHelpOnce(t *testing.T) {
	if _, stdout, stderr := nodisk("help", "bild"); strings.Count(stdout+stderr, "nodisk: ") != 1 {
		t.Errorf("%s%s", stdout, stderr)
	}
}

// Flags of others that are pointed to others of ours: those that there are not here.
func TestElsewhere(t *testing.T) {
	for _, tt := range []struct{ command, flag string }{{"build", "--regenerate-all"}, {"inspect", "-s"}} {
		if elsewhere(tt.command, tt.flag) == "" || elsewhere("wake", tt.flag) != "" ||
			elsewhere(tt.command, "--nonsense") != "" {
			t.Errorf("%v", tt)
		}
	}
}

func TestSourceDateEpoch(t *testing.T) {
	t.Setenv("SOURCE_DATE_EPOCH", "yesterday")
	if _, err := (&buildCmd{}).spec(t.Context()); err == nil ||
		!strings.Contains(err.Error(), `"yesterday" is not a number`) {
		t.Errorf("got %v", err)
	}
	t.Setenv("SOURCE_DATE_EPOCH", "86400")
	s, err := (&buildCmd{}).spec(t.Context())
	if want := time.Unix(86400, 0); err != nil || !s.Time.Equal(want) {
		t.Errorf("%v, %v; want %v", s.Time, err, want)
	}
}

// From source, twice, in different directories: the same image.
func TestBuildFromSource(t *testing.T) {
	_, err := exec.LookPath("go")
	testenv.Needs(t, err == nil, "program go")
	kernel := kernelDir(t)
	var sums []string
	for range 2 {
		at := filepath.Join(t.TempDir(), "image")
		status, stdout, stderr := nodisk("build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules", kernel,
			"--profile", "virt,iscsi", "--profile", "ext4", "--from-source", "--out", at)
		if status != 0 {
			t.Fatalf("status %d: %s", status, stderr)
		}
		_, sum, _ := strings.Cut(stdout, "sha256 ")
		sum, _, _ = strings.Cut(sum, "\n")
		sums = append(sums, sum)
		if status, stdout, stderr = nodisk("inspect", at); status != 0 ||
			!strings.Contains(stdout, "profiles: virt, iscsi, ext4") {
			t.Errorf("inspect: status %d: %s%s", status, stdout, stderr)
		}
	}
	if sums[0] != sums[1] || sums[0] == "" {
		t.Errorf("sums differ: %q", sums)
	}
}

// The released command: static, with /init inside, and neither Go nor source
// at hand.
func TestReleased(t *testing.T) {
	gobin, err := exec.LookPath("go")
	testenv.Needs(t, err == nil, "program go")
	kernel := kernelDir(t)
	source, err := program.FindSource(".")
	if err != nil {
		t.Fatal(err)
	}
	// The file that go:embed takes is put beside a copy of nothing: an overlay
	// keeps the repository as it is.
	dir := t.TempDir()
	program, err := program.CompileInit(t.Context(), source, "")
	if err != nil {
		t.Fatal(err)
	}
	inside := filepath.Join(dir, "nodisk-init")
	if err := os.WriteFile(inside, program, 0o600); err != nil {
		t.Fatal(err)
	}
	overlay := filepath.Join(dir, "overlay.json")
	embedded := filepath.Join(source, "build", "program", "embedded", "nodisk-init")
	text := `{"Replace": {"` + embedded + `": "` + inside + `", "` + embedded + `-arm64": "` + inside + `"}}`
	if err := os.WriteFile(overlay, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command := filepath.Join(dir, "nodisk")
	compile := exec.CommandContext(t.Context(), gobin, "build", "-overlay", overlay, "-trimpath", "-tags", "embedinit",
		"-o", command, ".")
	compile.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := compile.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}

	cmd := exec.CommandContext(t.Context(), command, "build", "--kernel", filepath.Join(kernel, "vmlinuz"), "--modules",
		kernel,
		"--profile", "virt,iscsi,ext4")
	cmd.Dir = t.TempDir()
	cmd.Env = []string{"PATH=/nowhere"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nodisk build: %v\n%s", err, out)
	}
	if _, err := os.Stat(filepath.Join(cmd.Dir, "nodisk.img")); err != nil {
		t.Error(err)
	}
}

func TestStatusLine(t *testing.T) {
	var out bytes.Buffer
	terminal := &statusLine{w: &out, terminal: true}
	terminal.show("compressing", 1, 4)
	terminal.show("compressing", 1, 4)
	terminal.show("compressing", 4, 4)
	terminal.end()
	want := "\r\x1b[Kcompressing, 25 % ...\r\x1b[Kcompressing, 100 % ...\r\x1b[K"
	if out.String() != want {
		t.Errorf("terminal: %q, want %q", out.String(), want)
	}
	out.Reset()
	plain := &statusLine{w: &out}
	plain.show("reading", 1, 4)
	plain.show("reading", 2, 4)
	plain.end()
	if out.String() != "reading ...\n" {
		t.Errorf("plain: %q", out.String())
	}
}
