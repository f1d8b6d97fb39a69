package boot

import (
	"context"
	"net"
	"net/netip"

	"github.com/nodisk/nodisk/netsetup"
)

// askName asks the name servers for the name of the node's addresses (nodisk.hostname=reverse).
// resolv.conf is written. A node without that name boots all the same, so a problem is only
// reported.
func (w *worker) askName(ctx context.Context, s netsetup.State) (named netsetup.State, ok bool) {
	if len(s.Addrs) == 0 || len(s.DNS) == 0 {
		w.log.Warn(
			"host name: nodisk.hostname=reverse needs an address and a " +
				"name server (" + s.String() + "); add nameserver=, or write nodisk.hostname=NAME",
		)
		return s, false
	}
	ctx, cancel := context.WithTimeout(ctx, reverseTimeout)
	defer cancel()
	var addr netip.Addr
	var err error
	for _, a := range s.Addrs {
		var names []string
		addr = a.Addr()
		names, err = (&net.Resolver{PreferGo: true}).LookupAddr(ctx, addr.String())
		if named, ok := s.WithName(names); ok {
			return named, true
		}
		if ctx.Err() != nil {
			break
		}
	}
	w.log.Warn(reverseProblem(addr, s.DNS[0], err))
	return s, false
}
