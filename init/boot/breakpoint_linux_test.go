package boot

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/init/console"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// A shell before a stage has all the time it wants, and comes once.
func TestBreakBeforeStage(t *testing.T) {
	var order []string
	attempts := 0
	stages := []stage{
		{name: "mounts", run: takes(0, "ok")},
		{name: "mount", after: []string{"mounts"}, timeout: time.Second, run: func(ctx context.Context) (string, error) {
			attempts++
			order = append(order, "run")
			if attempts == 1 {
				return "", errors.New("not yet")
			}
			return "there", ctx.Err()
		}},
	}
	stages[1].before = func(context.Context) {
		order = append(order, "before")
		<-time.After(time.Hour)
	}
	console, err := testGraph(t, 0, stages...)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"before", "run", "before", "run"}, order); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !strings.Contains(console, "mount (2/2): there, 0.00 s") {
		t.Errorf("the shell counts as the stage's time:\n%s", console)
	}
}

// Who asks for what the image or the boot does not have is told, and the boot goes on.
func TestBreakpoints(t *testing.T) {
	for name, tt := range map[string]struct {
		breaks []string
		want   string // on the console
		set    []string
	}{
		"none":          {nil, "", nil},
		"no such stage": {[]string{"attach", "mount"}, "nodisk: warning: rd.break=attach: this boot has no such stage\r\n", []string{"mount"}},
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w := &worker{plan: plan.Plan{Breaks: tt.breaks}, log: slog.New(console.NewConsole(nil, &b, nil, nil))}
			var set []string
			for _, s := range w.breakpoints([]stage{{name: "mounts"}, {name: "mount"}}) {
				if s.before != nil {
					set = append(set, s.name)
				}
			}
			if diff := cmp.Diff(tt.want, b.String()) + cmp.Diff(tt.set, set); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// While somebody sits in a shell and another stage cannot go on, the boot's end
// waits for whoever that is.
func TestVerdictWaitsForShell(t *testing.T) {
	w := &worker{plan: plan.Plan{Policy: plan.Policy{OnFail: plan.OnFailPoweroff}}, log: slog.New(slog.DiscardHandler)}
	w.console.Lock()
	verdict := make(chan plan.Verdict, 1)
	go func() { verdict <- w.giveUp(errors.New("no driver")) }()
	select {
	case v := <-verdict:
		t.Errorf("%v under the shell's feet", v)
	case <-time.After(50 * time.Millisecond):
	}
	w.console.Unlock()
	if v := <-verdict; v.Action != plan.ActionPoweroff {
		t.Errorf("got %v", v)
	}
}

// Every stage of the fullest plan can be a breakpoint, and no other word.
func TestStageNames(t *testing.T) {
	p, err := plan.New(cmdline.Parse("root=iscsi:10.0.0.1::::iqn.2026-01.test:a ip=dhcp"), nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &worker{plan: p, log: slog.New(slog.DiscardHandler), loader: modload.NewLoader(nil, modload.LoaderConfig{}, nil)}
	var names []string
	for _, s := range w.stages() {
		names = append(names, s.name)
	}
	if diff := cmp.Diff(names, plan.StageNames()); diff != "" {
		t.Errorf("(-stages +words):\n%s", diff)
	}
}
