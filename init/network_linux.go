package boot

import (
	"context"
	"fmt"
	"time"

	"github.com/nodisk/nodisk/netsetup"
)

// bringUp sets the network up and keeps it: leases are prolonged and late ports
// join their bonds until leaveNetwork.
func (w *worker) bringUp(ctx context.Context, c netsetup.Config) (netsetup.State, error) {
	if w.leaveNetwork != nil {
		w.leaveNetwork() // an earlier attempt's
		w.leaveNetwork = nil
	}
	n, err := netsetup.New(c, w.log)
	if err != nil {
		return netsetup.State{}, err
	}
	state, err := n.Up(ctx)
	if err != nil {
		n.Close()
		return state, err
	}
	keep, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := guard(func() (string, error) { return "", n.Keep(keep) }); err != nil {
			w.log.Warn(fmt.Sprintf("the network is not looked after any more: %v", err))
		}
	}()
	w.leaveNetwork = func() {
		cancel()
		closed := make(chan struct{})
		go func() {
			<-done
			n.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(followTimeout):
			w.log.Warn("a driver is still setting an interface up or down: going on without it")
		}
	}
	return state, nil
}
