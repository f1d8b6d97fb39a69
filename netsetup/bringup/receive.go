package bringup

import "github.com/nodisk/nodisk/netsetup/lease"

// receive passes on what the wire receives until it is closed.
func (r *runner) receive(key attachmentKey, via lease.Channel, w wire) {
	r.wg.Go(func() {
		for {
			p, err := w.Receive()
			if err != nil {
				return
			}
			p.Via = via
			select {
			case r.arrivals <- arrival{key: key, wire: w, Packet: p}:
			case <-r.ctx.Done():
				return
			}
		}
	})
}

// wire gives an interface its sockets.
func (r *runner) wire(n *attachment, s setup) {
	n.wires = s.wires
	for via, w := range s.wires {
		r.receive(n.key, via, w)
	}
}
