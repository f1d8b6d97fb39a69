package lab

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/internal/testenv"
)

// A lab does not wait until the patience with tgtd, which heeds no SIGTERM, is over.
func TestTgtdEnds(t *testing.T) {
	if !inNamespaces(t, BootSpec{Root: RootISCSI}) {
		return
	}
	life, end := context.WithCancel(t.Context())
	defer end()
	l, err := New(life, Config{})
	if err != nil {
		t.Fatal(err)
	}
	const control = "79"
	p, err := l.Start(tool.Tgtd(), nil, "-f", "-C", control, "--iscsi", "portal=127.0.0.1:3299")
	if err != nil {
		t.Fatal(err)
	}
	err = tool.Poll(t.Context(), "tgtd", func(ctx context.Context) error {
		return l.tgtadm(ctx, control, "--op", "show", "--mode", "sys")
	})
	if err != nil {
		t.Error(err)
	}
	began := time.Now()
	end()
	p.Stop()
	if took := time.Since(began); took >= tool.StopGrace {
		t.Errorf("it took %v, all the time that it is given", took)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// inNamespaces runs the calling test once more in namespaces as [Enter] makes them, reports
// whether this is there, and checks that a lab can boot what the specification says.
func inNamespaces(t *testing.T, s BootSpec) bool {
	t.Helper()
	for _, err := range Missing(s) {
		testenv.Missing(t, err.Error())
	}
	if !testenv.Namespace(t, syscall.CLONE_NEWNS|syscall.CLONE_NEWPID) {
		return false
	}
	t.Setenv(insideEnv, "1")
	if err := Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	return true
}

// Whoever ends a boot does not wait until a tree is measured.
func TestMeasureHeeds(t *testing.T) {
	ended := errors.New("ended")
	ctx, end := context.WithCancelCause(t.Context())
	end(ended)
	if size, err := measure(ctx, t.TempDir()); !errors.Is(err, ended) {
		t.Errorf("%+v, %v, want %v", size, err, ended)
	}
}
