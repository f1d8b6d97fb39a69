package modtree

import (
	"path/filepath"
	"testing"

	"github.com/nodisk/nodisk/build/buildtest"
	"github.com/nodisk/nodisk/build/kernel"
)

func TestOpenDistributionKernel(t *testing.T) {
	dir := buildtest.KernelDir(t)
	k, err := kernel.Open(t.Context(), filepath.Join(dir, "vmlinuz"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Find(dir, k.Release); err != nil {
		t.Errorf("%+v: %v", k, err)
	}
}
