package bringup

import (
	"errors"
	"io/fs"
	"slices"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// The state of a port is in sysfs, and reading each of its files may send a command to the
// adapter's firmware (ib_query_port of drivers/infiniband/core/device.c). One that hangs holds
// the reader for as long as the driver has patience, with mlx5 60 s for each command
// (MLX5_CMD_TIMEOUT_MSEC). So ports are read outside the runner's loop, each by one reader at a
// time, and decisions and messages are based on what is known.

const (
	// portPatience is how long tick waits for the ports that it has asked: working firmware
	// answers within a few milliseconds.
	portPatience = 100 * time.Millisecond
	// portSilent is how long after its last answer a port is called silent.
	portSilent = 5 * time.Second
)

// A portAnswer is the outcome of reading a port.
type portAnswer struct {
	key   link.PortKey
	state link.PortState
	err   error
}

// A portRead is what is known about a port.
type portRead struct {
	known bool // it has been read: what follows is the result
	state link.PortState
	err   error
	began time.Time // when the reading under way began, zero for none
}

// gate returns the gate at which an interface of the partition without carrier stands, 0 if that
// is not known.
func (p *portRead) gate(pkey uint16) link.Gate {
	switch {
	case !p.known || p.err != nil && !errors.Is(p.err, fs.ErrNotExist):
		return link.GateUnread
	case p.err != nil:
		return 0
	default:
		return p.state.Gate(pkey)
	}
}

// unread is the sentence about a port whose state is not known.
func (p *portRead) unread(d link.Device, now time.Time) string {
	const remedy = ": check the adapter and its firmware"
	if p.err != nil && (p.began.IsZero() || now.Sub(p.began) < portSilent) {
		return d.PortName() + ": " + p.err.Error() + remedy
	}
	return d.PortName() + " has not told its state for " + phrase.Seconds(now.Sub(p.began)) + remedy
}

// port returns what is known about the port of a device.
func (r *runner) port(d link.Device) *portRead {
	p := r.ports[d.PortKey()]
	if p == nil {
		p = &portRead{}
		r.ports[d.PortKey()] = p
	}
	return p
}

// silence says, as the end of a sentence, that a port no longer reports its state.
func (r *runner) silence(d link.Device, now time.Time) string {
	p := r.ports[d.PortKey()]
	if p == nil || p.began.IsZero() || now.Sub(p.began) < portSilent {
		return ""
	}
	return "; " + d.PortName() + " has told nothing more for " + phrase.Seconds(
		now.Sub(p.began),
	) + ": check the adapter and its firmware"
}

// askPort has a port read, unless it is being read. Nothing waits for a reader: if the network is
// closed meanwhile, it ends when the kernel lets it.
func (r *runner) askPort(d link.Device, now time.Time) {
	if d.Port == 0 {
		return
	}
	p := r.port(d)
	if !p.began.IsZero() {
		return
	}
	p.began = now
	key := d.PortKey()
	go func() {
		state, err := r.sys.Port(key.Hca, key.Number)
		select {
		case r.reads <- portAnswer{key, state, err}:
		case <-r.ctx.Done():
		}
	}()
}

// askPorts reads the ports about which something may have to be decided or said.
func (r *runner) askPorts(now time.Time) {
	for _, n := range r.attachments {
		switch d := r.portOf(n); {
		case !n.dev.Identified() || r.stand(n, now):
			r.askPort(d, now)
		case r.unanswered(n):
			d, _ = r.memberPort(n)
			r.askPort(d, now)
		}
	}
}

// answered handles the outcome of reading a port.
func (r *runner) answered(a portAnswer, now time.Time) {
	p := r.ports[a.key]
	*p = portRead{known: true, state: a.state, err: a.err}
	for _, n := range r.sorted() {
		if r.portOf(n).PortKey() != a.key {
			continue
		}
		if a.err != nil {
			r.log.Debug(n.dev.Name + ": " + a.err.Error())
		}
		r.stand(n, now)
	}
	if a.err == nil && r.identify(a.key, a.state) {
		r.nextLog = now.Add(lease.LogEvery) // an interface that has just begun to ask has nothing to report
	}
}

// awaited reports whether a port is being read that may be in order.
func (r *runner) awaited(now time.Time) bool {
	for _, p := range r.ports {
		if !p.began.IsZero() && now.Sub(p.began) < portPatience {
			return true
		}
	}
	return false
}

// due does what is due by the clock, by what the ports say now: when they have been read, or do
// not answer.
func (r *runner) due(now time.Time) {
	if r.tickBy.IsZero() {
		r.askPorts(now)
		r.tickBy = now.Add(portPatience)
	}
	if now.Before(r.tickBy) && r.awaited(now) {
		return
	}
	r.tickBy = time.Time{}
	r.arrivedAlready()
	r.tick(now)
}

// next is when due has something to do next.
func (r *runner) next() time.Time {
	if !r.tickBy.IsZero() {
		return r.tickBy
	}
	return r.wake()
}

// lastLook reads the ports once more, for the final report on those that wait.
func (r *runner) lastLook() {
	if !slices.ContainsFunc(r.jobs, func(j *job) bool { return j.open() && !j.spare }) {
		return
	}
	r.askPorts(time.Now())
	timer := time.NewTimer(portPatience)
	defer timer.Stop()
	for r.awaited(time.Now()) {
		select {
		case a := <-r.reads:
			r.answered(a, time.Now())
		case <-timer.C:
			return
		}
	}
}
