package bringup

import (
	"time"

	"github.com/nodisk/nodisk/netsetup"
)

// loadingPatience is how long modules that are still loading explain a missing interface. A
// driver needs seconds, with new firmware tens of them; one that hangs may be any device's.
const loadingPatience = time.Minute

// loading is what Config.Loading says, as long as there is nothing else to report.
func (r *runner) loading(now time.Time) string {
	if now.Sub(r.started) >= loadingPatience {
		return ""
	}
	return r.config.LoadingReason()
}

// absent is Config.Absent. Once modules have been loading for long, it says what else can be
// done.
func (r *runner) absent(n netsetup.Addressing, now time.Time) string {
	c := r.config
	if r.loading(now) != "" {
		return c.Absent(n, r.devices(), r.told)
	}
	c.Loading = nil
	return c.Absent(n, r.devices(), r.told) + r.stillLoading()
}

// stillLoading follows what can be done: that may prove pointless while modules are still
// loading.
func (r *runner) stillLoading() string {
	if loading := r.config.LoadingReason(); loading != "" {
		return "; " + loading
	}
	return ""
}
