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

// backoff is the wait behind the message number n (from 0).
func (p *pacing) backoff(n int) time.Duration {
	d := min(firstRetransmit<<min(n, 10), maxRetransmit)
	return d*3/4 + time.Duration(p.jitter.Int64N(int64(d/2)))
}
