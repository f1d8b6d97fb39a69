package lease

import (
	"hash/fnv"
	"math/rand/v2"
	"time"

	"github.com/nodisk/nodisk/netsetup/link"
)

// A Pacing spreads the messages of a node that asks again and again.
type Pacing struct {
	jitter *rand.Rand
}

// NewPacing is seeded, so that nodes which start together do not ask together.
func NewPacing(a link.HardwareAddr) Pacing {
	h := fnv.New64a()
	_, _ = h.Write([]byte(a))
	return Pacing{rand.New(rand.NewPCG(h.Sum64(), 0))}
}

// RetryAfter is the wait after a failed try (number n, from 1) at something that only the kernel
// has to do.
func RetryAfter(n int) time.Duration {
	return min(FirstRetransmit<<min(n-1, 10), MaxRetransmit)
}

// A Loss is what is known about an interface that has gone, by its name: one that goes again and
// again is not reported each time, nor made again at once.
type Loss struct {
	told   time.Time
	untold int // losses since then that were not reported

	last  time.Time // when it was seen to go
	Times int       // how often it has gone in short order
}

// Tells reports whether this loss is one for the console, and how many there have been since the
// last that was.
func (l *Loss) Tells(now time.Time) (most int, ok bool) {
	if now.Sub(l.told) < LogEvery {
		l.untold++
		return 0, false
	}
	most = l.untold + 1
	l.told, l.untold = now, 0
	return most, true
}

// Often reports whether it has come to go again and again.
func (l *Loss) Often(now time.Time) bool {
	return l.Times > 0 && now.Sub(l.last) <= 2*MaxRetransmit
}

// Wait is how long one that has gone now is left alone before it is made again: not at
// all if it had been there for a while.
func (l *Loss) Wait(now time.Time) time.Duration {
	if l.Times++; !l.Often(now) {
		l.Times = 0
	}
	l.last = now
	if l.Times == 0 {
		return 0
	}
	return RetryAfter(l.Times)
}

// Backoff is the wait after message number n (from 0).
func (p *Pacing) Backoff(n int) time.Duration {
	d := min(FirstRetransmit<<min(n, 10), MaxRetransmit)
	return d*3/4 + time.Duration(p.jitter.Int64N(int64(d/2)))
}

// LogEvery is how often Up reports what it waits for.
const LogEvery = 10 * time.Second
