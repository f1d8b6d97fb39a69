package bringup

import (
	"fmt"
	"slices"
	"time"

	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// achieved are the interfaces that are set up by now, and how many of them, the first ones, are
// up for the arguments themselves: those that rd.neednet wants besides come after them.
func (r *runner) achieved() (states []netsetup.State, chosen int) {
	for _, besides := range []bool{false, true} {
		for _, j := range r.jobs {
			if j.state == nil || (j.spare && r.all(j)) != besides {
				continue
			}
			// One that has addresses of both families is one interface.
			if i := slices.IndexFunc(
				states,
				func(o netsetup.State) bool { return o.Device == j.state.Device },
			); i >= 0 {
				states[i] = states[i].With(*j.state)
			} else {
				states = append(states, *j.state)
			}
		}
		if !besides {
			chosen = len(states)
		}
	}
	return states, chosen
}

// result puts the jobs together; the primary one first.
func (r *runner) result() netsetup.State {
	states, chosen := r.achieved()
	if len(states) == 0 {
		return netsetup.State{Source: "off", Took: time.Since(r.started)}
	}
	best := r.best(states[:max(1, chosen)])
	main := states[best]
	main.Others = slices.Delete(slices.Clone(states), best, best+1)
	for _, o := range main.Others {
		main = main.Beside(o)
	}
	if len(main.Others) == 0 {
		main.Others = nil
	}
	main.Took = time.Since(r.started)
	main.MTU = r.mtu(link.Device{Name: main.Device, MTU: main.MTU})
	for i, o := range main.Others {
		main.Others[i].MTU = r.mtu(link.Device{Name: o.Device, MTU: o.MTU})
	}
	return main
}

// tellUndone reports arguments that have come to nothing.
func (r *runner) tellUndone() {
	for _, route := range r.config.Routes {
		done := func(j *job) bool { return j.state != nil && r.config.About(route.Dev, j.pos, j.state.Device) }
		if route.Dev != "" && !slices.ContainsFunc(r.jobs, done) {
			r.log.Warn(fmt.Sprintf("%s: not done, %s was not set up", route, route.Dev))
		}
	}
	for _, text := range r.config.Unnamed(r.devices()) {
		r.log.Warn(text)
	}
}
