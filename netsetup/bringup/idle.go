package bringup

import (
	"slices"

	"github.com/nodisk/nodisk/netsetup/link"
)

// tellIdle reports keys about InfiniBand and bonds that have had no effect, now that the network
// is up. They still apply to interfaces that appear later.
func (r *runner) tellIdle() {
	have := r.devices()
	for _, why := range r.config.Unpreferred(have) {
		r.log.Warn(why)
	}
	if why := r.config.Unselected(have); why != "" {
		r.log.Warn(why)
	}
	if r.config.IBMode != "" &&
		!slices.ContainsFunc(have, func(d link.Device) bool { return d.Type == link.HwInfiniBand }) {
		r.log.Info("nodisk.ib.mode=" + r.config.IBMode + ": without effect, no InfiniBand interface is here yet")
	}
}
