package netsetup

func (s setup) close() {
	for _, w := range s.wires {
		_ = w.Close()
	}
}

// receive passes on what the wire hears until it is closed.
func (r *runner) receive(key nicKey, via channel, w wire) {
	r.wg.Go(func() {
		for {
			p, err := w.receive()
			if err != nil {
				return
			}
			p.via = via
			select {
			case r.arrivals <- arrival{key: key, wire: w, packet: p}:
			case <-r.ctx.Done():
				return
			}
		}
	})
}
