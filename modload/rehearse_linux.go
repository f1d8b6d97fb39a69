package modload

import (
	"context"
	"errors"
	"log/slog"
)

// Rehearse returns a Loader that decides as the one of a node does, one module at
// a time, and tells load instead of a kernel: which modules a machine would
// load, and in which order, can be said before there is a machine. cpu is the
// modalias of its processor, empty if not known. An error of load stands for
// the kernel's; path is that of the file below the root.
func Rehearse(x *Index, c LoaderConfig, cpu string, load func(path, params string) error, log *slog.Logger) *Loader {
	c.Serial = true
	return newLoader(x, c, rehearsal{index: x, modalias: cpu, load: load}, log)
}

// Serve loads the modules that devices ask for by their modaliases, as
// [Loader.Coldplug] does when it finds the devices.
func (l *Loader) Serve(ctx context.Context, modaliases []string, want Filter) error {
	devices := make([]device, len(modaliases))
	for i, alias := range modaliases {
		devices[i].modalias = alias
	}
	_, err := l.serve(ctx, devices, want)
	return err
}

// A rehearsal stands for the kernel: one that has what the index calls built in.
type rehearsal struct {
	index    *Index
	modalias string
	load     func(path, params string) error
}

func (r rehearsal) live(string) bool                     { return false }
func (r rehearsal) present(module string) bool           { return r.index.Builtin(module) }
func (r rehearsal) insert(i insertion) ([]string, error) { return nil, r.load(i.path, i.params) }
func (r rehearsal) size(string) int64                    { return 0 }
func (r rehearsal) needs(string) []string                { return nil }
func (r rehearsal) release() string                      { return r.index.release }
func (r rehearsal) cpu() string                          { return r.modalias }
func (r rehearsal) events() (listener, error)            { return nil, errors.ErrUnsupported }
