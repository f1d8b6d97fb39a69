package boot

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/nodisk/nodisk/netsetup"
)

// unreached adds to an error, where it is that a host is not reached, what that means
// on the network which leads to the hosts; with none known to any.
func unreached(err error, net netsetup.State, hosts []netsetup.Host) error {
	if !errors.Is(err, syscall.EHOSTUNREACH) {
		return err
	}
	if len(hosts) == 0 {
		hosts = []netsetup.Host{{}}
	}
	if hint := net.Unreached(hosts); hint != "" {
		return fmt.Errorf("%w; %s", err, hint)
	}
	return err
}
