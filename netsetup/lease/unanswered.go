package lease

// A Listener is a protocol that knows whether anybody has answered it.
type Listener interface {
	// Unanswered reports whether it asks, and has heard nothing of use to it yet.
	Unanswered() bool
}

// Unanswered reports whether several messages have had no answer.
func (x *Exchange) Unanswered() bool { return x.phase == phaseSelecting && x.refused == "" }

// Unanswered reports whether several messages have had no answer.
func (q *Oneshot) Unanswered() bool { return q.refused == "" }

// Unanswered reports whether several messages have had no answer.
func (x *IPv6) Unanswered() bool {
	asks := x.phase == phase6Begin || x.phase == phase6Soliciting
	return asks && x.refused == "" && !x.View.Router && len(x.View.Ready(true)) > 0
}

// Unanswered is that of the inner protocol.
func (p *ACD) Unanswered() bool {
	l, ok := p.inner.(Listener)
	return ok && p.Lease == nil && l.Unanswered()
}
