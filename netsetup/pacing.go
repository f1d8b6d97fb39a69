package netsetup

import (
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// A pacing spreads the messages of a node that asks again and again.
type pacing struct {
	jitter *rand.Rand
}

func newPacing(a HardwareAddr) pacing {
	h := fnv.New64a()
	_, _ = h.Write([]byte(a))
	return pacing{rand.New(rand.NewPCG(h.Sum64(), 0))}
}

// retryAfter is the wait after a failed try (number n, from 1) at what only the kernel
// has to do.
func retryAfter(n int) time.Duration {
	return min(firstRetransmit<<min(n-1, 10), maxRetransmit)
}

// A loss is what is known of an interface that has gone, by its name: one that goes
// again and again is not told of each time, nor made again at once.
type loss struct {
	told   time.Time
	untold int // losses since that were not told

	last  time.Time // when it was seen to go
	times int       // how often it has gone in short order
}

// tells reports whether this loss is one for the console, and how many there were since
// the last that was.
func (l *loss) tells(now time.Time) (most int, ok bool) {
	if now.Sub(l.told) < logEvery {
		l.untold++
		return 0, false
	}
	most = l.untold + 1
	l.told, l.untold = now, 0
	return most, true
}

// often reports whether it goes again and again by now.
func (l *loss) often(now time.Time) bool {
	return l.times > 0 && now.Sub(l.last) <= 2*maxRetransmit
}

// wait is how long one that has gone now is left alone before it is made again: not at
// all if it had been there for a while.
func (l *loss) wait(now time.Time) time.Duration {
	if l.times++; !l.often(now) {
		l.times = 0
	}
	l.last = now
	if l.times == 0 {
		return 0
	}
	return retryAfter(l.times)
}

// backoff is the wait behind the message number n (from 0).
func (p *pacing) backoff(n int) time.Duration {
	d := min(firstRetransmit<<min(n, 10), maxRetransmit)
	return d*3/4 + time.Duration(p.jitter.Int64N(int64(d/2)))
}
