package boot

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/nodisk/nodisk/init/console"
)

// reverseTimeout bounds the question for a name: the boot goes on without.
const reverseTimeout = 5 * time.Second

// reverseProblem is the sentence about an address without a name. err is that of
// the resolver, nil when an answer has no name that a host can have.
func reverseProblem(addr, server netip.Addr, err error) string {
	const fix = "; add the record, or write nodisk.hostname=NAME"
	dns, ok := errors.AsType[*net.DNSError](err)
	switch {
	case ok && dns.IsTimeout:
		return "host name: no answer from " +
			"name server " + server.String() + " about " + addr.String() + " within " + console.Seconds(
			reverseTimeout,
		) + fix
	case ok && !dns.IsNotFound:
		return "host name: ask " + server.String() + " for the name of " + addr.String() + ": " + dns.Err + fix
	case err == nil:
		return "host name: the " +
			"PTR record of " + addr.String() + " at " + server.String() + " is not the name of a host" + fix
	default:
		return "host name: " + addr.String() + " has no PTR record at " + server.String() + fix
	}
}
