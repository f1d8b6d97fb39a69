package modload

import (
	"context"
	"testing"
	"testing/synctest"
)

// taken tells whether a place can be had at once, and gives it back.
func taken(t *testing.T, w *workers, device bool) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ok := w.take(ctx, device)
	if ok {
		w.give()
	}
	return ok
}

func TestWorkersLeaveOneToDrivers(t *testing.T) {
	w := newWorkers(2)
	w.begin()
	if !w.take(t.Context(), false) {
		t.Fatal("of two places the first is refused")
	}
	if taken(t, w, false) {
		t.Error("a load by name took the place of a driver")
	}
	if !taken(t, w, true) {
		t.Error("a driver got no place")
	}
	w.end()
	if !taken(t, w, false) {
		t.Error("the place stays reserved after the coldplug")
	}
	// A single place cannot be reserved: nothing else would load.
	one := newWorkers(1)
	one.begin()
	if !taken(t, one, false) {
		t.Error("the only place is reserved")
	}
}

func TestWorkersWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorkers(2)
		w.begin()
		w.take(t.Context(), true)
		got := make(chan bool)
		go func() { got <- w.take(t.Context(), false) }()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("the reserved place was taken")
		default:
		}
		w.end()
		if !<-got {
			t.Error("not taken after the coldplug")
		}
	})
}
