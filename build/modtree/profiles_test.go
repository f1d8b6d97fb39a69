package modtree

import (
	"slices"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
)

// A profile that a kernel has no driver for, or lacks a module of, is one line of the list: the
// others are told all the same.
func TestHoldingsWithoutDrivers(t *testing.T) {
	root := buildtest.Tree(t)
	tree, err := Open(root, buildtest.Release, nil)
	if err != nil {
		t.Fatal(err)
	}
	list, err := tree.Holdings()
	if err != nil {
		t.Fatal(err)
	}
	held := make(map[string]Holding)
	for _, h := range list {
		held[h.Profile] = h
	}
	if h := held["opa"]; !slices.Equal(h.OneOf, []string{"hfi1"}) || !slices.Equal(h.Missing, []string{"ib_ipoib"}) ||
		h.Modules != 0 {
		t.Errorf("opa: %+v, want it without hfi1 and ib_ipoib", h)
	}
	if h := held["e1000"]; !slices.Equal(h.OneOf, []string{"e1000", "e1000e"}) || h.Missing != nil {
		t.Errorf("e1000: %+v, want it without a driver", h)
	}
	if h := held["ext4"]; h.Modules == 0 || h.OneOf != nil || h.Missing != nil {
		t.Errorf("ext4: %+v, want modules", h)
	}
}
