package boot

import (
	"log/slog"
	"testing"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A disk is mounted for as long as the kernel needs, to replay a journal: an attempt that is cut short
// only begins it again. Every other stage but the last has a limit.
func TestLimitsOfStages(t *testing.T) {
	plan, err := plan.New(cmdline.Parse("ip=dhcp netroot=iscsi:10.0.0.1::::iqn.2026-01.test:a root=LABEL=root"), nil)
	if err != nil {
		t.Fatal(err)
	}
	index := new(modload.Index)
	w := &worker{plan: plan, index: index, loader: modload.NewLoader(index, modload.LoaderConfig{}, nil), log: slog.New(slog.DiscardHandler)}
	for _, s := range w.stages() {
		if unlimited := s.name == "mounts" || s.name == "mount" || s.name == "switch"; unlimited != (s.timeout == 0) {
			t.Errorf("stage %s: limit %v", s.name, s.timeout)
		}
	}
}

// Whoever is PID 1 is sent a signal only if it is nodisk.
func TestIsNodisk(t *testing.T) {
	if !isNodisk("/proc/self/exe") || isNodisk("/bin/sh") || isNodisk("/nowhere") {
		t.Error("this program is not told from others")
	}
}
