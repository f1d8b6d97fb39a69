package wol

import (
	"context"
	"fmt"
	"time"
)

// repeatGap is between two packets to one machine: what filled a queue is gone
// by then.
const repeatGap = 100 * time.Millisecond

// A Pace is how fast machines are woken.
type Pace struct {
	Interval time.Duration // between two batches; 0: none waits
	Batch    int           // machines at a time, 1 at least
	Repeat   int           // packets to each machine, 1 at least
}

// A Step is one packet to each of some targets.
type Step struct {
	After       time.Duration // since the first step
	First, Last int           // the targets First up to, but without, Last
	Final       bool          // no further packet to them follows
}

// Steps are what waking n targets consists of, in the order of time. Packets to
// a batch are repeated within its interval, so that batches do not mix.
func (p Pace) Steps(n int) []Step {
	batch, repeat := max(p.Batch, 1), max(p.Repeat, 1)
	gap := repeatGap
	if p.Interval > 0 {
		gap = min(gap, p.Interval/time.Duration(repeat))
	}
	span := p.Interval
	if repeat > 1 {
		span = max(span, time.Duration(repeat)*gap)
	}
	var steps []Step
	var begin time.Duration
	for first := 0; first < n; first += batch {
		last := min(first+batch, n)
		for i := range repeat {
			steps = append(steps, Step{After: begin + time.Duration(i)*gap, First: first, Last: last,
				Final: i == repeat-1})
		}
		begin += span
	}
	return steps
}

// Wake sends to all targets in order. told is called for each batch when its
// last packet has been sent. It returns how many targets were woken; with an
// error, or when ctx ends, those after them may have got a packet or not.
func Wake(ctx context.Context, targets []Target, p Pace, send func(Target) error, told func(woken []Target)) (int,
	error) {
	begin, woken := time.Now(), 0
	timer := time.NewTimer(0)
	defer timer.Stop()
	for _, s := range p.Steps(len(targets)) {
		timer.Reset(time.Until(begin.Add(s.After)))
		select {
		case <-ctx.Done():
			return woken, context.Cause(ctx)
		case <-timer.C:
		}
		if ctx.Err() != nil {
			return woken, context.Cause(ctx)
		}
		for _, t := range targets[s.First:s.Last] {
			if err := send(t); err != nil {
				return woken, fmt.Errorf("wake %s: %w", t.Name, err)
			}
		}
		if s.Final {
			woken = s.Last
			told(targets[s.First:s.Last])
		}
	}
	return woken, nil
}
