package depmod

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/ko/kotest"
)

// sortedDeps is modules.dep with what each module uses sorted by name.
func sortedDeps(dep []byte) map[string][]string {
	deps := make(map[string][]string)
	for line := range strings.Lines(string(dep)) {
		p, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		deps[p] = strings.Fields(needs)
		slices.Sort(deps[p])
	}
	return deps
}

// Of a distribution's tree Quick makes what Run makes, but for the order of what a module uses.
func TestQuickAsRun(t *testing.T) {
	dir, release := kernelTree(t)
	start := time.Now()
	quick, err := Quick(Tree(dir, release), release, Config{})
	if err != nil {
		t.Fatal(err)
	}
	took := time.Since(start)
	start = time.Now()
	run, err := Run(Tree(dir, release), release, Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d modules: Quick %v, Run %v", strings.Count(string(run.Dep), "\n"), took, time.Since(start))
	for name, texts := range map[string][2][]byte{
		"alias": {quick.Alias, run.Alias}, "softdep": {quick.Softdep, run.Softdep},
		"weakdep": {quick.Weakdep, run.Weakdep}, "devname": {quick.Devname, run.Devname},
	} {
		if string(texts[0]) != string(texts[1]) {
			t.Errorf("modules.%s is another", name)
		}
	}
	if diff := cmp.Diff(sortedDeps(run.Dep), sortedDeps(quick.Dep)); diff != "" {
		t.Errorf("modules.dep (-Run +Quick):\n%s", diff)
	}
	if diff := cmp.Diff(run.Warnings, quick.Warnings); diff != "" {
		t.Errorf("warnings (-Run +Quick):\n%s", diff)
	}
	// What a module uses can be loaded from the end of its line on.
	at := make(map[string][]string)
	for line := range strings.Lines(string(quick.Dep)) {
		p, needs, _ := strings.Cut(strings.TrimSpace(line), ":")
		at[p] = strings.Fields(needs)
	}
	for p, needs := range at {
		for i, need := range needs {
			for _, of := range at[need] {
				if slices.Index(needs, of) <= i {
					t.Fatalf("%s: %s uses %s, which is loaded after it", p, need, of)
				}
			}
		}
	}
}

// Where a module did not come with the kernel, or cannot be understood, its symbols must be read.
func TestQuickNeedsSymbols(t *testing.T) {
	const release = "6.9.1-test"
	of := func(name, needs, vermagic string, outOfTree bool) []byte {
		return kotest.Module{Name: name, Depends: needs, Vermagic: vermagic + " SMP ",
			OutOfTree: outOfTree, Pad: 4000}.Bytes()
	}
	own := of("b", "", release, false)
	for name, tt := range map[string]struct {
		data []byte
		want error
	}{
		"its own":        {of("a", "b", release, false), nil},
		"vendor's":       {of("a", "b", release, true), ErrSymbols},
		"other kernel's": {of("a", "b", "6.9.0-other", false), ErrSymbols},
		"damaged":        {of("a", "b", release, false)[:70], ErrSymbols},
		"no module":      {[]byte("what is this"), ErrSymbols},
		"empty":          {nil, ErrSymbols},
	} {
		dir := filepath.Join(t.TempDir(), "lib", "modules", release)
		if err := os.MkdirAll(filepath.Join(dir, "kernel"), 0o755); err != nil {
			t.Fatal(err)
		}
		for file, data := range map[string][]byte{"a.ko": tt.data, "b.ko": own} {
			if err := os.WriteFile(filepath.Join(dir, "kernel", file), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		x, err := Quick(Tree(dir, release), release, Config{})
		if !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", name, err, tt.want)
		}
		if err == nil && !strings.Contains(string(x.Dep), "kernel/a.ko: kernel/b.ko\n") {
			t.Errorf("%s: modules.dep %q", name, x.Dep)
		}
	}
}

func BenchmarkQuick(b *testing.B) {
	dir, release := kernelTree(b)
	for b.Loop() {
		if _, err := Quick(Tree(dir, release), release, Config{}); err != nil {
			b.Fatal(err)
		}
	}
}
