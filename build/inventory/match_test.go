package inventory

import (
	"strings"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/modload"
)

// debianIndex is the index of the kernel under test.
func debianIndex(t *testing.T) (*modtree.Tree, *modload.Index) {
	t.Helper()
	tree, err := modtree.Open(buildtest.KernelDir(t), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	x, err := modload.Open(tree.FS, tree.Release)
	if err != nil {
		t.Fatal(err)
	}
	return tree, x
}

// A device of which the subsystem is not known is served by all modules whose
// pattern may match: of those for the whole modalias none is lost.
func TestMatchUnknownFields(t *testing.T) {
	tree, x := debianIndex(t)
	a, err := OpenAliases(tree.FS, tree.Release)
	if err != nil {
		t.Fatal(err)
	}
	tried := 0
	for i, pattern := range a.pci {
		if i%7 != 0 {
			continue
		}
		whole, _ := unknownPCI().known(pattern)
		short := whole
		short[pciSubvendor], short[pciSubdevice], short[pciInterface] = "*", "*", "*"
		got := a.Match(x, Device{Modalias: short.modalias()})
		for _, want := range x.Match(whole.modalias()) {
			if tried++; !strings.Contains(" "+strings.Join(got, " ")+" ", " "+want+" ") {
				t.Errorf("%s: %s is lost; there are %v", short.modalias(), want, got)
			}
		}
	}
	if tried < 1000 {
		t.Errorf("only %d modules were compared", tried)
	}
	// A pattern that wants a subsystem: e100 of Intel, by vendor and device.
	if got := a.Match(x, Device{Modalias: "pci:v000014E4d00001657sv*sd*bc02sc00i*"}); len(got) != 1 || got[0] != "tg3" {
		t.Errorf("a BCM5719 is served by %v, want tg3", got)
	}
}
