package bringup

import (
	"time"

	"github.com/nodisk/nodisk/netsetup"
)

// loadingPatience is how long modules that are still loading are the reason why an interface is missing. A
// driver needs seconds, with new firmware tens of them; one that hangs may be any device's.
const loadingPatience = time.Minute

// loading is what Config.Loading says, while nothing else is to be told.
func (r *runner) loading(now time.Time) string {
	if now.Sub(r.started) >= loadingPatience {
		return ""
	}
	return r.config.LoadingReason()
}

// absent is that of the config. When modules have been loading for long, it says what can be
// done besides.
func (r *runner) absent(n netsetup.Addressing, now time.Time) string {
	c := r.config
	if r.loading(now) != "" {
		return c.Absent(n, r.devices(), r.told)
	}
	c.Loading = nil
	return c.Absent(n, r.devices(), r.told) + r.stillLoading()
}

// stillLoading goes behind what can be done: that may come to nothing while modules are on their way.
func (r *runner) stillLoading() string {
	if loading := r.config.LoadingReason(); loading != "" {
		return "; " + loading
	}
	return ""
}
