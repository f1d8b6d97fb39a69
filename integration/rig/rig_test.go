package rig

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nodisk/nodisk/integration/lab"
)

func TestCables(t *testing.T) {
	r := &Rig{spec: Spec{Cables: 3}, taken: make([]bool, 3), freed: make(chan struct{})}
	two, err := r.take(t.Context(), 2)
	if err != nil || !cmp.Equal(two, []int{0, 1}) {
		t.Fatalf("the first cables are %v, %v", two, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if got, err := r.take(ctx, 2); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("cables that are in use: %v, %v", got, err)
	}
	if _, err := r.take(t.Context(), 4); err == nil {
		t.Error("there are four cables of three")
	}
	waited := make(chan []int)
	go func() {
		got, _ := r.take(t.Context(), 3)
		waited <- got
	}()
	r.give(two)
	if diff := cmp.Diff([]int{0, 1, 2}, <-waited); diff != "" {
		t.Errorf("freed cables (-want +got):\n%s", diff)
	}
}

func TestBootCheck(t *testing.T) {
	good := Boot{BootSpec: lab.BootSpec{Kernel: "k", Image: "i", Root: lab.RootISCSI}}
	if err := good.check(); err != nil {
		t.Error(err)
	}
	for name, change := range map[string]func(*Boot){
		"PXE":       func(b *Boot) { b.PXE = true },
		"late DHCP": func(b *Boot) { b.DHCPAfter = time.Second },
		"in memory": func(b *Boot) { b.Root = lab.RootRAM },
		"no kernel": func(b *Boot) { b.Kernel = "" },
	} {
		b := good
		change(&b)
		if b.check() == nil {
			t.Errorf("%s is fine", name)
		}
	}
}

// A node has only the cables of its place.
func TestAct(t *testing.T) {
	p := &node{}
	if err := p.act(t.Context(), lab.Act{Pull: []int{2}}); err == nil ||
		!strings.Contains(err.Error(), "NIC 2 has no cable") {
		t.Errorf("a cable that is not there: %v", err)
	}
}
