package boot

import (
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// followed is the network as it is now; the boot only knows how it was when it came up: an
// interface that went and came back may have another address, and others may have come up since.
// The node keeps the name that it has. makes reports whether the command line makes the link of a
// name.
func followed(was, now netsetup.State, makes func(name string) bool) netsetup.State {
	switch {
	case now.Device == "": // gone, or off: what there was is what the root was read by
		was.Others = nil
		return was
	case now.Device != was.Device && (makes(now.Device) || makes(was.Device) || !sameAdapter(now.MAC, was.MAC)):
		others := now.Others
		now.Others = nil
		was.Others = append([]netsetup.State{now}, others...)
		return was
	}
	now.Took = was.Took
	if was.Hostname != "" {
		now.Hostname, now.Domain = was.Hostname, was.Domain
	}
	return now
}

// sameAdapter reports whether two addresses are of one adapter: of InfiniBand the port GUID, if there is
// one, stays when it is registered again. A link that is made of an adapter has that of the adapter, too.
func sameAdapter(a, b link.HardwareAddr) bool {
	was, ok := a.GUID()
	now, known := b.GUID()
	return a == b || ok && known && was == now
}
