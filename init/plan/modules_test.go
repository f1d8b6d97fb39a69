package plan

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// Names from old manuals are told and taken off, others keep their error.
func TestWithout(t *testing.T) {
	x, err := modload.Open(fstest.MapFS{
		"lib/modules/r/modules.dep": {Data: []byte("a/ib_core.ko:\na/ib_ipoib.ko:\na/mlx4_core.ko:\n")},
		"lib/modules/ib/ib_ucm.ko":  {},
	}, "r")
	if err != nil {
		t.Fatal(err)
	}
	m, errs := NewModulePlan(
		cmdline.Parse("nodisk.modules=ib_addr,ib_core,ib_cor rd.driver.pre=ib-sa rd.driver.post=ib_ucm,ipoib_helper nodisk.profile=mlx4"),
		cmdline.Parse("nodisk.profile=virt,ib,mlx4"))
	if errs != nil {
		t.Fatal(errs)
	}
	notes := m.without(x)
	want := []string{
		"modules: no ib_addr ib-sa ipoib_helper: this kernel has them in ib_core or does without",
		"modules: no mlx4_en mlx4_ib in the image: loading the rest of nodisk.profile=",
	}
	if diff := cmp.Diff(want, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	got := strings.Join(m.First, " ") + "; " + strings.Join(m.Pre, " ") + "; " + strings.Join(requestNames(m.Drivers), " ") + "; " + strings.Join(m.Post, " ")
	if got != "ib_core ib_cor; ; mlx4_core ib_ipoib; ib_ucm" {
		t.Errorf("left are %s", got)
	}
}

// What the network's sockets need is loaded before them, once, if there is
// anything to load, and is nothing to talk about otherwise.
func TestSocketsModules(t *testing.T) {
	m, errs := NewModulePlan(cmdline.Parse("bond=bond0:eth0"), cmdline.Parse("nodisk.profile=eth,bond,iscsi,ext4"))
	if errs != nil {
		t.Fatal(errs)
	}
	x, err := modload.Open(fstest.MapFS{
		"lib/modules/r/modules.dep":     {Data: []byte("net/packet/af_packet.ko:\ndrivers/net/bonding.ko:\n")},
		"lib/modules/r/modules.builtin": {Data: []byte("")},
	}, "r")
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(requestNames(m.Links), " "); got != "af_packet ipv6 bonding" || len(m.Links) != 3 {
		t.Errorf("before the network %s (%d) are loaded", got, len(m.Links))
	}
	if notes := m.without(x); notes != nil {
		t.Errorf("notes: %q", notes)
	}
	if got := strings.Join(requestNames(m.Links), " "); got != "af_packet bonding" {
		t.Errorf("of this kernel, %s", got)
	}
}
