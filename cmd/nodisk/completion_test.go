package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/internal/testenv"
)

// shellEnv puts the test binary into a directory as nodisk and returns an environment in
// which it is found and is the command.
func shellEnv(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.Symlink(self, filepath.Join(dir, "nodisk")); err != nil {
		t.Fatal(err)
	}
	return append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), asCommand+"="+filepath.Join(dir, "peak"),
		"HOME="+dir)
}

// A bash that has read the script is asked as its user's tab key does it.
func TestBashCompletion(t *testing.T) {
	bash, err := exec.LookPath("bash")
	testenv.Needs(t, err == nil, "bash")
	env := shellEnv(t)
	for line, want := range map[string][]string{
		"nodisk bui":                     {"build"},
		"nodisk ":                        {"build", "check", "clean", "completion", "inspect", "pxe"},
		"nodisk build --ker":             {"--kernel"},
		"nodisk build --compress ":       {"lz4", "zstd", "gzip", "xz", "none"},
		"nodisk build --profile vi":      {"virt"},
		"nodisk build --profile eth,isc": {"eth,iscsi"},
		"nodisk build --kver a":          {"all"},
		"nodisk boot --root n":           {"nfs3", "nfs4", "none"},
		"nodisk completion z":            {"zsh"},
		"nodisk help insp":               {"inspect"},
		"nodisk help ":                   {"build", "inspect", "pxe"},
		"nodisk man pla":                 {"plan"},
	} {
		// What readline does with complete -C: the command is started with the line.
		script := `source <(nodisk completion bash); read -r -a c < <(complete -p nodisk)
for i in "${!c[@]}"; do [ "${c[i]}" = -C ] && eval run=${c[i+1]}; done
export COMP_LINE="$1" COMP_POINT=${#1}; $run nodisk "" ""`
		cmd := exec.CommandContext(t.Context(), bash, "-c", script, "bash", line)
		cmd.Env = env
		out, err := cmd.CombinedOutput()
		got := strings.Fields(string(out))
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%q: no %s in %v", line, w, got)
			}
		}
		if len(want) == 1 && len(got) != 1 {
			t.Errorf("%q: got %v, want %v alone", line, got, want)
		}
	}
}

// The scripts are ones of their shells.
func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		t.Run(shell, func(t *testing.T) {
			program, err := exec.LookPath(shell)
			testenv.Needs(t, err == nil, shell)
			status, script, stderr := nodisk("completion", shell)
			if status != 0 {
				t.Fatalf("status %d: %s", status, stderr)
			}
			at := filepath.Join(t.TempDir(), "script")
			if err := os.WriteFile(at, []byte(script), 0o600); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.CommandContext(t.Context(), program, "-n", at).CombinedOutput(); err != nil {
				t.Errorf("%v\n%s\n%s", err, out, script)
			}
		})
	}
	t.Run("fish asks", func(t *testing.T) {
		fish, err := exec.LookPath("fish")
		testenv.Needs(t, err == nil, "fish")
		cmd := exec.CommandContext(t.Context(), fish, "-c", "nodisk completion fish | source; complete -C 'nodisk build --compr'")
		cmd.Env = shellEnv(t)
		out, err := cmd.CombinedOutput()
		if err != nil || strings.TrimSpace(string(out)) != "--compress" {
			t.Errorf("%v: %s", err, out)
		}
	})
	t.Run("zsh asks", func(t *testing.T) {
		zsh, err := exec.LookPath("zsh")
		testenv.Needs(t, err == nil, "zsh")
		cmd := exec.CommandContext(t.Context(), zsh, "-f", "-c", "source <(nodisk completion zsh); print ${_comps[nodisk]}")
		cmd.Env = shellEnv(t)
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "_bash_complete") {
			t.Errorf("%v: %s", err, out)
		}
	})
}

// The pages are ones that mandoc finds nothing wrong with but the length of their lines.
func TestManPages(t *testing.T) {
	mandoc, err := exec.LookPath("mandoc")
	testenv.Needs(t, err == nil, "mandoc")
	dir := t.TempDir()
	t.Setenv("SOURCE_DATE_EPOCH", "26438400") // mandoc wants a date
	if status, _, stderr := nodisk("man", "--dir", dir); status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	pages, err := filepath.Glob(filepath.Join(dir, "*.1"))
	if err != nil || len(pages) < 10 {
		t.Fatalf("%v, %v", pages, err)
	}
	out, _ := exec.CommandContext(t.Context(), mandoc, append([]string{"-T", "lint", "-W", "warning"}, pages...)...).
		CombinedOutput()
	if len(out) > 0 {
		t.Errorf("%s", out)
	}
	text := func(name string) string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), mandoc, "-T", "utf8", "-O", "width=200",
			filepath.Join(dir, name)).Output()
		if err != nil {
			t.Fatal(err)
		}
		// Bold and underlined letters are struck over.
		for i := bytes.IndexByte(out, '\b'); i > 0; i = bytes.IndexByte(out, '\b') {
			out = slices.Delete(out, i-1, i+1)
		}
		return string(out)
	}
	for name, wants := range map[string][]string{
		"nodisk.1": {"nodisk - Boot images", "build", "Make an image", "completion"},
		"nodisk-build.1": {"nodisk build [flags]", "--add=SRC:DST", "-o, --out=FILE", "/etc/nodisk/NAME",
			"SOURCE_DATE_EPOCH"},
		"nodisk-plan.1": {"nodisk plan [<words> ...] [flags]"},
	} {
		page := text(name)
		for _, want := range wants {
			if !strings.Contains(page, want) {
				t.Errorf("%s has no %q:\n%s", name, want, page)
			}
		}
	}
	if status, page, _ := nodisk("man"); status != 0 || !strings.HasPrefix(page, `.TH NODISK 1 "1970-11-03"`) {
		t.Errorf("status %d: %.80s", status, page)
	}
	// Without a date that is given there is none: a page does not depend on the day.
	t.Setenv("SOURCE_DATE_EPOCH", "")
	if status, page, _ := nodisk("man"); status != 0 || !strings.HasPrefix(page, `.TH NODISK 1 "" `) ||
		!strings.Contains(page, "SYNOPSIS\nnodisk <command>") {
		t.Errorf("status %d: %.400s", status, page)
	}
	if status, _, stderr := nodisk("man", "biuld"); status != exitUsage ||
		!strings.Contains(stderr, `no command "biuld"`) {
		t.Errorf("status %d: %s", status, stderr)
	}
}

func TestVersionOf(t *testing.T) {
	info := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123abc"}
	modified := debug.BuildSetting{Key: "vcs.modified", Value: "true"}
	for _, tt := range []struct {
		stamp string
		info  *debug.BuildInfo
		want  string
	}{
		{"v0.3-4-gabc", info("(devel)"), "v0.3-4-gabc"},
		{"", info("(devel)", revision, modified), "commit 0123abc, modified"},
		{"", info("v0.3.0"), "v0.3.0"},
		{"", info("v0.3.1-0.2026", revision), "v0.3.1-0.2026 (0123abc)"},
		{"", info("(devel)"), "of an unknown commit"},
		{"", nil, "of an unknown commit"},
	} {
		if got := versionOf(tt.stamp, tt.info); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
