package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/preflight"
	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// What nodisk plan predicts for the lab's machine, of an inventory that was taken on
// it, is what a boot of it loads: no module more, none less, and none before what it
// depends on. The image has drivers chosen by that inventory.
func TestPlanIsBoot(t *testing.T) {
	t.Parallel()
	const listing = "../build/inventory/testdata/pc-virtio.txt"
	s := lab.BootSpec{Name: "plan", Root: lab.RootISCSI, Static: true, Append: "nodisk.log=debug", Timeout: 4 * time.Minute}
	needs(t, s)
	kernel := kernelDir(t)
	s.Kernel, s.Image = filepath.Join(kernel, "vmlinuz"), buildImage(t, "eth,iscsi,ext4", "--inventory", listing)
	s.Log = testLogFile("plan")
	give := takePlace(t, busy)
	res, err := sharedLab(t).Boot(t.Context(), s)
	give()
	if err != nil {
		t.Fatal(err)
	}
	if !res.Reached {
		t.Fatalf("the root was not reached: %s; the console's end:\n%s", res.Why, transcript.Tail(res.Console, 40))
	}
	var loaded []string
	for _, m := range regexp.MustCompile(`module loaded\b.*\bmodule=(\w+)`).FindAllStringSubmatch(res.Console, -1) {
		loaded = append(loaded, m[1])
	}

	planned := predict(t, listing, s.Image, res.Cmdline)
	x := moduleIndex(t, kernel)
	for i, name := range loaded {
		mods, err := x.Resolve(name)
		if err != nil {
			t.Fatal(err)
		}
		self := slices.IndexFunc(mods, func(m modload.Module) bool { return m.Name == name })
		for _, dep := range mods[self].Deps {
			if at := slices.Index(loaded, dep); at > i {
				t.Errorf("%s was loaded before %s, which it needs", name, dep)
			}
		}
	}
	slices.Sort(loaded)
	slices.Sort(planned)
	if diff := cmp.Diff(planned, loaded); diff != "" {
		t.Errorf("modules (-planned +loaded):\n%s", diff)
	}
	if len(planned) < 10 {
		t.Errorf("only %d modules: %v", len(planned), planned)
	}
}

// predict returns the modules that nodisk plan expects.
func predict(t *testing.T, listing, image, line string) []string {
	t.Helper()
	text, err := os.Open(listing)
	if err != nil {
		t.Fatal(err)
	}
	defer text.Close() //nolint:errcheck // nothing was written
	node, err := inventory.Parse(listing, text)
	if err != nil {
		t.Fatal(err)
	}
	read, err := preflight.OpenImage(t.Context(), image)
	if err != nil {
		t.Fatal(err)
	}
	report, err := preflight.Check(t.Context(), preflight.Input{
		Line: cmdline.Parse(line), Image: read,
		Inventory: &node,
	})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Boots() {
		t.Errorf("nodisk plan says of a node that boots: %s", strings.Join(report.Faults, "; "))
	}
	var names []string
	for _, p := range report.Phases {
		for _, m := range p.Modules {
			names = append(names, m.Name)
		}
	}
	return names
}
