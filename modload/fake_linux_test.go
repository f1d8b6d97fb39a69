package modload

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"

	"github.com/nodisk/nodisk/internal/uevent"
)

// A fakeKernel takes modules and remembers their order.
type fakeKernel struct {
	cpuAlias string
	depends  map[string][]string                 // what files say about themselves
	inserted func(path string) ([]string, error) // called without the mutex; nil takes all
	unpacked func(path string)                   // called before the kernel is asked; nil takes no time
	// announced is what the kernel says of modules; nil: it cannot be heard.
	announced chan uevent.Event

	mu      sync.Mutex
	order   []string          // as their init ended
	params  map[string]string // as given
	tries   map[string]int
	now     int
	most    int // loads at one time
	living  map[string]bool
	builtin map[string]bool
}

func (k *fakeKernel) live(module string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.living[module]
}

func (k *fakeKernel) present(module string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.living[module] || k.builtin[module]
}

func (k *fakeKernel) size(string) int64 { return 1 << 16 }
func (k *fakeKernel) needs(path string) []string {
	return k.depends[nameOf(path)]
}
func (k *fakeKernel) release() string { return "r" }
func (k *fakeKernel) cpu() string     { return k.cpuAlias }

func (k *fakeKernel) events() (listener, error) {
	if k.announced == nil {
		return nil, errors.ErrUnsupported
	}
	return announcer{k.announced}, nil
}

// An announcer is the kernel's events as a channel.
type announcer struct{ events chan uevent.Event }

func (a announcer) Receive(ctx context.Context) (uevent.Event, error) {
	select {
	case e := <-a.events:
		return e, nil
	case <-ctx.Done():
		return uevent.Event{}, ctx.Err()
	}
}

func (announcer) Close() error { return nil }

func (k *fakeKernel) insert(i insertion) ([]string, error) {
	name := nameOf(i.path)
	k.mu.Lock()
	unpacked := k.unpacked
	k.mu.Unlock()
	if unpacked != nil {
		unpacked(name)
	}
	i.enter()
	k.mu.Lock()
	k.now++
	k.most = max(k.most, k.now)
	k.tries[name]++
	k.params[name] = i.params
	inserted := k.inserted
	k.mu.Unlock()
	var (
		logged []string
		err    error
	)
	if inserted != nil {
		logged, err = inserted(name)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.now--
	if err == nil {
		k.order = append(k.order, name)
		k.living[name] = true
	}
	return logged, err
}

func (k *fakeKernel) before(t *testing.T, first, second string) {
	t.Helper()
	k.mu.Lock()
	defer k.mu.Unlock()
	i, j := slices.Index(k.order, first), slices.Index(k.order, second)
	if i < 0 || j < 0 || i >= j {
		t.Errorf("%s is not before %s in %q", first, second, k.order)
	}
}

// A buffer is a log that goroutines may share.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// newTestLoader loads the modules of files into a fake kernel.
func newTestLoader(t *testing.T, files map[string]string, c LoaderConfig) (*Loader, *fakeKernel, *buffer) {
	t.Helper()
	k := &fakeKernel{
		params: make(map[string]string), tries: make(map[string]int),
		living: make(map[string]bool), builtin: make(map[string]bool),
	}
	text := &buffer{}
	log := slog.New(slog.NewTextHandler(text,
		&slog.HandlerOptions{ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}}))
	if c.Workers == 0 {
		c.Workers = 4
	}
	l := newLoader(open1(t, files), c, k, log)
	t.Cleanup(l.Close)
	return l, k, text
}
