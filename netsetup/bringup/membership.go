package bringup

import (
	"fmt"
	"time"

	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// asks says what the protocol of an interface waits for. If nobody has answered, and the port is
// a limited member of the partition, it says so: two limited members do not hear each other
// (InfiniBand Architecture Specification volume 1, section 10.9), though both join the broadcast
// group and get carrier. opensm makes ports limited members unless its partitions.conf says full.
func (r *runner) asks(n *attachment, now time.Time) string {
	text := n.dev.Name + ": " + n.protocol.Waiting(now)
	if !r.unanswered(n) {
		return text
	}
	if limited := r.limited(n); limited != "" {
		text += "; " + limited
	}
	d, _ := r.memberPort(n)
	return text + r.silence(d, now)
}

// unanswered reports whether nobody has answered the protocol of an interface.
func (r *runner) unanswered(n *attachment) bool {
	l, ok := n.protocol.(lease.Listener)
	return ok && l.Unanswered()
}

// memberPort returns the device that knows the port through which an interface hears others, and
// what to call it.
func (r *runner) memberPort(n *attachment) (d link.Device, who string) {
	d, who = r.portOf(n), "the port"
	if r.config.Bond(n.dev.Name) {
		for _, o := range r.sorted() {
			// A bond of InfiniBand has the address of the port that is in use.
			if o.dev.Master == n.dev.Index && o.dev.Addr == n.dev.Addr {
				d, who = r.portOf(o), "its port "+o.dev.Name
			}
		}
	}
	return d, who
}

// limited says that the port of an interface is only a limited member of its partition; empty if
// it is not, or if that is not known.
func (r *runner) limited(n *attachment) string {
	d, who := r.memberPort(n)
	if n.dev.Type != link.HwInfiniBand || d.Port == 0 {
		return ""
	}
	key, ok := r.port(d).state.Member(n.dev.PKey())
	if !ok || key&link.FullMember != 0 {
		return ""
	}
	return fmt.Sprintf("%s is only a limited member (%#04x): it hears full members only", who, key)
}
