package modload

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

// kmodMark is a name that a config of the tests gives an install command, so
// that modprobe prints a line of its own between the answers to two questions.
const kmodMark = "nodisk_mark"

// A kmodTree asks the real modprobe about a tree, many questions a process.
type kmodTree struct {
	tool, root, release, conf string
}

func newKmodTree(t *testing.T) (kmodTree, string) {
	t.Helper()
	haveModprobe(t)
	root, release := kernelTree(t)
	tool, err := exec.LookPath("modprobe")
	if err != nil {
		tool = "/sbin/modprobe"
	}
	abs, err := filepath.Abs(root)
	if err != nil {
		t.Fatal(err)
	}
	if abs, err = filepath.EvalSymlinks(abs); err != nil {
		t.Fatal(err)
	}
	conf := t.TempDir()
	if err := os.WriteFile(filepath.Join(conf, "mark.conf"), []byte("install "+kmodMark+" true\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return kmodTree{tool: tool, root: abs, release: release, conf: conf}, root
}

// run returns the lines modprobe prints for arguments.
func (k kmodTree) run(t *testing.T, args ...string) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), k.tool, append([]string{"-q", "-C", k.conf, "-d", k.root, "-S", k.release},
		args...)...)
	cmd.Env = []string{}
	out, err := cmd.Output()
	if err != nil && len(out) == 0 {
		return nil // not found
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// ask puts questions to modprobe and returns its lines for each. option is
// --show-depends or -R.
func (k kmodTree) ask(t *testing.T, option, mark string, questions []string) [][]string {
	t.Helper()
	answers := make([][]string, len(questions))
	var group errgroup.Group
	group.SetLimit(2)
	const batch = 2000 // of short strings: the kernel takes 2 MB of arguments
	for first := 0; first < len(questions); first += batch {
		part := questions[first:min(first+batch, len(questions))]
		group.Go(func() error {
			args := []string{"-a", option, "--"}
			for _, q := range part {
				args = append(args, q, kmodMark)
			}
			i := first
			for _, line := range k.run(t, args...) {
				if strings.TrimSpace(line) == mark {
					i++
					continue
				}
				if i < first+len(part) {
					answers[i] = append(answers[i], line)
				}
			}
			if i != first+len(part) {
				return fmt.Errorf("modprobe %s answered %d of %d questions", option, i-first, len(part))
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	return answers
}

// insmods are the files of insmod lines, below the root and without options.
func (k kmodTree) insmods(lines []string) []string {
	files := []string{}
	for _, line := range lines {
		if rest, ok := strings.CutPrefix(line, "insmod "+k.root+"/"); ok {
			file, _, _ := strings.Cut(rest, " ")
			files = append(files, file)
		}
	}
	return files
}

// once drops repetitions: modprobe -R names a module for each of its patterns
// that matches, and --show-depends names what a softdep needs again, though it
// would find it loaded.
func once(names []string) []string {
	list := []string{}
	for _, name := range names {
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

func filesOf(mods []Module) []string {
	files := []string{}
	for _, m := range mods {
		files = append(files, m.Path)
	}
	return files
}

// Every module of a distribution's kernel has the load order of modprobe
// --show-depends, softdeps included, file by file. modprobe is shown as many
// lines of modules.softdep as it reads: the first of each module.
func TestEveryModuleAsModprobe(t *testing.T) {
	k, root := newKmodTree(t)
	x, err := Open(oneSoftdep{os.DirFS(root)}, k.release)
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Collect(x.Names)
	different := 0
	for i, lines := range k.ask(t, "--show-depends", "install true", names) {
		mods, err := x.Resolve(names[i])
		if err != nil {
			t.Errorf("%s: %v", names[i], err)
			continue
		}
		want := once(k.insmods(lines))
		if i >= len(x.mods) && len(want) == 0 && !slices.Contains(lines, "builtin "+names[i]) {
			t.Errorf("%s: modprobe does not say that it is built in: %q", names[i], lines)
		}
		if got := filesOf(mods); !slices.Equal(want, got) {
			if different++; different <= 10 {
				t.Errorf("%s (-modprobe +Resolve):\n%s", names[i], cmp.Diff(want, got))
			}
		}
	}
	t.Logf("%d modules and %d built-in ones compared, %d differ", len(x.mods), len(names)-len(x.mods), different)

	// What a batch answers is what single calls do.
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		name := names[r.IntN(len(x.mods))]
		mods, err := x.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(once(k.insmods(k.run(t, "--show-depends", name))), filesOf(mods)); diff != "" {
			t.Errorf("%s alone (-modprobe +Resolve):\n%s", name, diff)
		}
	}
}

// The only modules whose order is not modprobe's are those that lead to one
// with more MODULE_SOFTDEPs than one: modprobe uses the first, we all. They
// are counted, and nothing but what those further softdeps lead to is added.
func TestJoinedSoftdeps(t *testing.T) {
	root, release := kernelTree(t)
	joined, err := Open(os.DirFS(root), release)
	if err != nil {
		t.Fatal(err)
	}
	first, err := Open(oneSoftdep{os.DirFS(root)}, release)
	if err != nil {
		t.Fatal(err)
	}
	var several []string
	for name, soft := range joined.softs {
		one := first.softs[name]
		if !slices.Equal(soft.pre, one.pre) || !slices.Equal(soft.post, one.post) {
			several = append(several, name)
		}
	}
	slices.Sort(several)
	var different []string
	for _, name := range slices.Collect(joined.Names)[:len(joined.mods)] {
		all, err := joined.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		one, err := first.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		leads := slices.ContainsFunc(one, func(m Module) bool { return slices.Contains(several, m.Name) })
		a, b := filesOf(all), filesOf(one)
		if slices.Equal(a, b) {
			continue
		}
		different = append(different, name)
		if !leads {
			t.Errorf("%s differs and uses none of %v", name, several)
		}
		for _, file := range b {
			if !slices.Contains(a, file) {
				t.Errorf("%s: %s is lost", name, file)
			}
		}
		for _, m := range all {
			if !m.Optional && !slices.Contains(b, m.Path) {
				t.Errorf("%s: %s is added and not optional", name, m.Path)
			}
		}
	}
	t.Logf("%v have several softdeps; %d modules differ: %v", several, len(different), different)
	if len(several) == 0 || len(different) < len(several) {
		t.Errorf("%v have several softdeps, but only %v differ", several, different)
	}
}

// Every alias of a distribution's modules and of what it has built in leads to
// the same modules in the same order as with modprobe -R: for each pattern of
// modules.alias and modules.builtin.modinfo an instance with its
// wildcards filled in, the same with one byte changed, and all names.
func TestEveryAliasAsModprobe(t *testing.T) {
	k, root := newKmodTree(t)
	x, err := Open(os.DirFS(root), k.release)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var aliases []string
	for _, e := range x.aliases().entries {
		aliases = append(aliases, instance(e.pattern, r))
	}
	patterns := len(aliases)
	for record := range strings.SplitSeq(x.modinfo, "\x00") {
		if _, pattern, ok := strings.Cut(record, ".alias="); ok {
			aliases = append(aliases, instance(pattern, r))
		}
	}
	builtin := len(aliases) - patterns
	for name := range x.Names {
		aliases = append(aliases, strings.ReplaceAll(name, "_", "-"))
	}
	names := len(aliases) - patterns - builtin
	for _, alias := range aliases[:patterns] {
		changed := []byte(alias)
		changed[r.IntN(len(changed))] = "0123456789ABCDEF:-_*z"[r.IntN(21)]
		aliases = append(aliases, string(changed))
	}
	different, loadable, inKernel, nothing := 0, 0, 0, 0
	for i, want := range k.ask(t, "-R", kmodMark, aliases) {
		want = once(want)
		list, _, ok := x.find(aliases[i])
		got := []string{}
		for _, m := range list {
			got = append(got, x.mods[m].name)
		}
		switch {
		case len(want) == 0:
			nothing++
			if !ok {
				continue
			}
		case !slices.ContainsFunc(want, x.Has):
			inKernel++
			if ok && len(got) == 0 {
				continue
			}
		default:
			loadable++
			if slices.Equal(want, got) {
				continue
			}
		}
		if different++; different <= 10 {
			t.Errorf("%s (-modprobe +find %v):\n%s", aliases[i], ok, cmp.Diff(want, got))
		}
	}
	t.Logf("%d patterns of modules, %d of what is built in, %d names, %d changed: %d lead to modules, %d to what is "+
		"built in, %d to nothing; %d differ",
		patterns, builtin, names, patterns, loadable, inKernel, nothing, different)
	if patterns < 1000 || loadable < patterns*9/10 || inKernel == 0 || nothing == 0 {
		t.Error("too few aliases were compared to mean anything")
	}
}
