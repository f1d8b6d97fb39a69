package boot

import "github.com/nodisk/nodisk/netsetup"

// followed is the network as it is now, of which the boot knows how it was when it came
// up: an interface that went and is back may have another address, and others have come
// up beside the boot. The node keeps the name that it has.
func followed(was, now netsetup.State) netsetup.State {
	switch {
	case now.Device == "": // gone, or off: what there was is what the root was read by
		was.Others = nil
		return was
	case now.Device != was.Device && now.MAC != was.MAC:
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
