package boot

import (
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/nodisk/nodisk/init/plan"
)

// needShell reports a request for a shell that the image does not have. The boot goes on: whoever
// asked wants the node, too.
func (w *worker) needShell() {
	if _, err := os.Stat(plan.ShellPath); err == nil {
		return
	}
	breaks, onFail := w.plan.MissedShell()
	if breaks != "" {
		w.log.Warn(breaks)
		w.plan.Breaks = nil
	}
	if onFail != "" {
		w.log.Warn(onFail + "; the boot starts again instead")
	}
}

// breakpoints makes the boot stop before the stages of rd.break=, at the first attempt of each.
func (w *worker) breakpoints(stages []stage) []stage {
	for _, name := range w.plan.Breaks {
		i := slices.IndexFunc(stages, func(s stage) bool { return s.name == name })
		if i < 0 {
			w.log.Warn("rd.break=" + name + ": this boot has no such stage")
			continue
		}
		stopped := false // attempts follow each other
		stages[i].before = func(ctx context.Context) {
			if !stopped {
				stopped = true
				w.stopBefore(ctx, name)
			}
		}
	}
	return stages
}

// stopBefore opens a shell and returns when it has ended. There is one console:
// a second shell waits for the first. When the boot ends meanwhile, because
// another stage cannot go on, it returns at once, but the verdict waits for
// whoever sits there (giveUp).
func (w *worker) stopBefore(ctx context.Context, name string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.console.Lock()
		defer w.console.Unlock()
		if ctx.Err() != nil {
			return
		}
		if err := shell(fmt.Sprintf("stopped before %s (rd.break)", name), "goes on", runInWorker); err != nil {
			w.log.Error(fmt.Sprintf("rd.break=%s: %v", name, err))
		}
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}
