package lease

// A listener is a protocol that knows whether anybody has answered it.
type Listener interface {
	// Unanswered reports that it asks, and has heard nothing of use to it yet.
	Unanswered() bool
}

func (x *Exchange) Unanswered() bool { return x.Phase == phaseSelecting && x.refused == "" }

func (q *Oneshot) Unanswered() bool { return q.refused == "" }

func (x *IPv6) Unanswered() bool {
	asks := x.phase == phase6Begin || x.phase == phase6Soliciting
	return asks && x.refused == "" && !x.View.Router && len(x.View.Ready(true)) > 0
}

func (p *ACD) Unanswered() bool {
	l, ok := p.inner.(Listener)
	return ok && p.Lease == nil && l.Unanswered()
}
