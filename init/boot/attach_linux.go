package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup/ibft"
)

const (
	// rootGrace is how long the other targets may take to answer when the root
	// is there already, and how long the root is looked for on what is attached
	// when another target does not answer.
	rootGrace = 5 * time.Second
	// stragglers is how long what was left out may take to end.
	stragglers = 8 * time.Second
)

// attach makes a session with each target, in parallel. Existing sessions are checked again
// first: see endStale.
func (w *worker) attach(ctx context.Context) (string, error) {
	named, err := w.targets()
	if err != nil {
		return "", err
	}
	if len(named) == 0 {
		return "nothing: the root is " + w.root.String(), w.endStale(ctx, nil, "")
	}
	name, source, err := iscsi.InitiatorName(w.nameSource())
	if err != nil {
		return "", err
	}
	w.log.Debug("initiator name", "name", name, "from", source)
	if err := writeFile("/run/initiatorname.iscsi", "InitiatorName="+name+"\n"); err != nil {
		return "", err
	}
	// The logins need no module, so they run while these are loaded.
	loaded := w.loadISCSI(ctx)
	groups := iscsi.GroupByName(iscsi.Addressed(ctx, named), !w.root.Block.OfFirstDisk())
	if err := w.endStale(ctx, groups, name); err != nil {
		return "", err
	}
	list := w.attachAll(ctx, groups, name, loaded)
	return w.judge(ctx, groups, list, loaded)
}

// A future is an outcome that several wait for.
type future struct {
	done chan struct{}
	err  error // valid when done is closed
}

// loadISCSI loads the modules of the kernel's side.
func (w *worker) loadISCSI(ctx context.Context) *future {
	f := &future{done: make(chan struct{})}
	go func() {
		defer close(f.done)
		f.err = guarded(func() error {
			return unlessCurable(w.loadOne(ctx, plan.AttachLoad()))
		})
		w.serveRequests()
	}()
	return f
}

// guarded is guard for work beside a stage's own goroutine.
func guarded(f func() error) error {
	_, err := guard(func() (string, error) { return "", f() })
	return err
}

// attachAll attaches the targets and returns the outcome of each. A target that the kernel does
// not let go of is left to itself.
func (w *worker) attachAll(ctx context.Context, groups []iscsi.Group, initiator string, loaded *future) []attached {
	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	options := iscsi.Options{InitiatorName: initiator}
	results := make(chan attached, len(groups))
	for i, t := range groups {
		kept, behind := w.session(t.Name), w.behind[t.Name]
		go func() {
			a := attached{behind: behind}
			a.err = guarded(func() error {
				a = w.attachTarget(inner, t, kept, behind, options, loaded)
				return a.err
			})
			a.index = i
			results <- a
		}()
	}
	list := gather(ctx, len(groups), results, w.rootOn, rootGrace)
	cancel(fmt.Errorf("no answer %v after the root was there", rootGrace))
	late := time.NewTimer(stragglers)
	defer late.Stop()
	for i := 0; i < len(list); {
		if list[i].session != nil || list[i].err != nil {
			i++
			continue
		}
		select {
		case a := <-results:
			list[a.index] = a
		case <-late.C:
			list[i].err = fmt.Errorf("target %s: the kernel holds the session that is being made", groups[i].Name)
			late.Reset(0)
		}
	}
	return list
}

// attachTarget continues with the session that is there, or else makes one.
func (w *worker) attachTarget(
	ctx context.Context, t iscsi.Group, kept *iscsi.Session, behind []iscsi.Portal, o iscsi.Options, loaded *future,
) attached {
	var lost error
	if kept != nil {
		if lost = kept.Show(ctx, t.Units, w.log); lost == nil {
			return attached{session: kept, behind: behind}
		}
		// It has been ended. That portal did not have the disks.
		behind = append(slices.Clone(behind), kept.Target.Portal)
	}
	a := attachGroup(ctx, t, behind, func(ctx context.Context, portals []iscsi.Target) (login, error) {
		c, err := iscsi.LoginAny(ctx, portals, o, w.log)
		if err != nil {
			return nil, err
		}
		return tcpLogin{c, w, loaded}, nil
	})
	if a.err != nil {
		a.err = errors.Join(lost, a.err)
	}
	return a
}

// A tcpLogin is a login that is handed over when the modules are loaded.
type tcpLogin struct {
	*iscsi.Connection
	w      *worker
	loaded *future
}

// At is the portal that was asked first.
func (l tcpLogin) At() iscsi.Portal { return l.Target.Portal }

// HandOver waits for the modules.
func (l tcpLogin) HandOver(ctx context.Context, want iscsi.Units) (*iscsi.Session, error) {
	<-l.loaded.done // ends with the stage
	if err := l.loaded.err; err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l.Connection.HandOver(ctx, want, l.w.log)
}

// rootOn reports whether the root is on what is attached. With a selector it
// looks for it until ctx ends.
func (w *worker) rootOn(ctx context.Context, list []attached) bool {
	disks := disksOf(list)
	switch {
	case len(disks) == 0:
		return false
	case w.root.Block.OfFirstDisk():
		return firstHere(list)
	}
	err := guarded(func() error {
		_, err := rootfs.FindBlock(ctx, w.root.Block, disks, nil)
		return err
	})
	return err == nil
}

// judge keeps what was attached and decides whether it is enough. A target that does not answer
// does not keep an available root from being mounted.
func (w *worker) judge(ctx context.Context, groups []iscsi.Group, list []attached, loaded *future) (string, error) {
	w.sessions = nil
	w.behind = map[string][]iscsi.Portal{}
	var errs []error
	var lines []string
	for i, a := range list {
		w.behind[groups[i].Name] = a.behind
		if a.err != nil {
			errs = append(errs, a.err)
			continue
		}
		w.sessions = append(w.sessions, a.session)
		lines = append(lines, a.session.String())
	}
	w.disks = disksOf(list)
	switch {
	case len(errs) == 0:
		return strings.Join(lines, ", "), nil
	case len(w.disks) == 0:
		<-loaded.done
		if loaded.err != nil {
			return "", loaded.err
		}
		return "", errors.Join(errs...)
	}
	look, cancel := context.WithTimeout(ctx, rootGrace)
	defer cancel()
	if !w.rootOn(look, list) {
		return "", fmt.Errorf("%v is not on %s: %w", w.root.Block, strings.Join(lines, ", "), errors.Join(errs...))
	}
	for _, err := range errs {
		w.log.Warn("the boot goes on without a target: " + reason(err))
	}
	return strings.Join(lines, ", "), nil
}

// targets are those of the plan, or of DHCP's root path, with the server that
// DHCP or ip= names where they name none, and those of the firmware.
func (w *worker) targets() ([]iscsi.Target, error) {
	full, warnings := w.plan.TargetsBy(w.root, w.net)
	for _, warning := range warnings {
		w.log.Warn(warning)
	}
	if !w.plan.Firmware {
		return full, nil
	}
	more, err := w.firmwareTargets()
	switch {
	case err != nil && len(full) == 0:
		return nil, err
	case err != nil:
		w.log.Warn(err.Error())
	case len(more) == 0 && len(full) == 0 && w.root.Kind == rootfs.KindBlock && w.root.Block.IsZero():
		return nil, plan.Permanent(
			errors.New(
				"the root is the firmware's, but " + ibft.ErrNone.Error() + ": boot by the firmware's iSCSI " +
					"initiator, or name the target by netroot=iscsi:",
			),
		)
	case len(more) == 0:
		w.log.Info("rd.iscsi.firmware: " + ibft.ErrNone.Error())
	}
	return append(full, more...), nil
}

func (w *worker) nameSource() iscsi.NameSource {
	s := iscsi.NameSource{
		CommandLine: w.plan.Initiator,
		IBFT:        w.firmwareName,
		Hostname:    w.net.Hostname,
		MAC:         w.net.MAC.String(),
	}
	if w.net.Lease != nil {
		s.DHCP = w.net.Lease.InitiatorName
	}
	// Absent files are absent sources.
	if b, err := kernfile.ReadFile("/etc/iscsi/initiatorname.iscsi"); err == nil {
		s.File = string(b)
	}
	if b, err := kernfile.ReadFile("/sys/class/dmi/id/product_uuid"); err == nil {
		s.UUID = string(b)
	}
	return s
}
