package modload

import (
	"context"
	"testing"
	"testing/synctest"
)

var (
	aDriver = claim{driver: true}
	aName   = claim{}
)

// taken reports whether a place can be had at once, and gives it back.
func taken(t *testing.T, p *places, c claim) bool {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	ok := p.take(ctx, c)
	if ok {
		p.give(c)
	}
	return ok
}

func TestPlacesLeaveOneToDrivers(t *testing.T) {
	p := newPlaces(2)
	p.begin()
	if !p.take(t.Context(), aName) {
		t.Fatal("of two places the first is refused")
	}
	if taken(t, p, aName) {
		t.Error("a load by name took the place of a driver")
	}
	if !taken(t, p, aDriver) {
		t.Error("a driver got no place")
	}
	p.end()
	if !taken(t, p, aName) {
		t.Error("the place stays reserved after the look at the devices")
	}
	// A single place cannot be reserved: nothing else would load.
	one := newPlaces(1)
	one.begin()
	if !taken(t, one, aName) {
		t.Error("the only place is reserved")
	}
}

// A driver that has a place needs no other that is kept free.
func TestPlacesReserveOne(t *testing.T) {
	p := newPlaces(2)
	p.begin()
	p.take(t.Context(), aDriver)
	if !taken(t, p, aName) {
		t.Error("beside a driver that works, the other place is kept free")
	}
}

func TestPlacesOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(1)
		p.take(t.Context(), aName)
		var order []string
		wait := func(name string, c claim) {
			go func() {
				if p.take(t.Context(), c) {
					order = append(order, name) // one at a time: there is one place
					p.give(c)
				}
			}()
			synctest.Wait()
		}
		wait("light", claim{weight: 1})
		wait("heavy", claim{weight: 2})
		wait("driver", claim{driver: true, weight: 1})
		wait("heavy, later", claim{weight: 2})
		p.give(aName)
		synctest.Wait()
		if got, want := len(order), 4; got != want || order[0] != "driver" || order[1] != "heavy" ||
			order[2] != "heavy, later" || order[3] != "light" {
			t.Errorf("places were given to %q", order)
		}
	})
}

func TestPlacesWake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlaces(2)
		p.begin()
		p.take(t.Context(), aName)
		got := make(chan bool)
		go func() { got <- p.take(t.Context(), aName) }()
		synctest.Wait()
		select {
		case <-got:
			t.Fatal("the reserved place was taken")
		default:
		}
		p.end()
		if !<-got {
			t.Error("not taken after the look")
		}
	})
}
