package boot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup"
	"github.com/nodisk/nodisk/netsetup/ibft"
)

// tracesFile holds what the attempts so far have left of networks: the next one may
// be another process's. It goes with the initramfs.
const tracesFile = "/var/lib/nodisk/network"

// bringUp sets the network up and keeps it: leases are renewed and late ports
// join their bonds until leaveNetwork.
func (w *worker) bringUp(ctx context.Context, c netsetup.Config) (netsetup.State, error) {
	if w.leaveNetwork != nil {
		w.leaveNetwork() // an earlier attempt's
		w.leaveNetwork = nil
	}
	n, err := bringup.New(c, w.log)
	if err != nil {
		return netsetup.State{}, err
	}
	n.Resume(w.readTraces())
	state, err := n.Up(ctx)
	w.writeTraces(n)
	if err != nil {
		n.Close()
		if _, ok := errors.AsType[*cmdline.ValueError](err); ok {
			err = plan.Permanent(err) // the arguments stay the same, and so do the cards
		}
		return state, err
	}
	keep, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := guard(func() (string, error) { return "", n.Keep(keep) }); err != nil {
			w.log.Warn(fmt.Sprintf("lease renewal has stopped: %v", err))
		}
	}()
	w.leaveNetwork = func() {
		cancel()
		closed := make(chan struct{})
		go func() {
			<-done
			n.Close()
			w.writeTraces(n)
			close(closed)
		}()
		select {
		case <-closed:
			w.net = followed(w.net, n.State(), c.Makes)
		case <-time.After(followTimeout):
			w.log.Warn(driverHolds)
		}
	}
	return state, nil
}

// readTraces returns what earlier attempts have left. What cannot be read stays where it is, and
// is reported.
func (w *worker) readTraces() netsetup.Traces {
	text, err := kernfile.ReadFile(tracesFile)
	if errors.Is(err, fs.ErrNotExist) {
		return netsetup.Traces{}
	}
	var t netsetup.Traces
	if err == nil {
		t, err = netsetup.ParseTraces(string(text))
	}
	if err != nil {
		w.log.Warn(fmt.Sprintf("%v: what it left stays", err))
	}
	return t
}

// writeTraces is for the next attempt.
func (w *worker) writeTraces(n *bringup.Network) {
	if err := writeFile(tracesFile, n.Traces().String()); err != nil {
		w.log.Warn(err.Error())
	}
}

// loading is for the network, which may miss an interface whose driver is still loading.
func (w *worker) loading() string { return stillLoading(w.loader.Loading()) }

// needs is what the root needs from the network.
func (w *worker) needs() netsetup.Needs {
	var firmware []iscsi.Target
	if w.plan.Firmware {
		if t, err := ibft.Read(kernfile.DirFS("/sys")); err == nil { // otherwise attach reports it
			firmware, _ = plan.FirmwareTargets(t)
		}
	}
	names, err := plan.ReadNames(kernfile.DirFS("/"))
	if err != nil {
		w.log.Warn(err.Error())
	}
	if w.resolves {
		names.Servers = nil // what is there is from an earlier attempt
	}
	for _, warning := range w.plan.Unresolved(names) {
		w.log.Warn(warning)
	}
	return w.plan.Needs(firmware, names)
}
