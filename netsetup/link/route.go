package link

import (
	"strings"
)

// SecondaryMetric is added to the default routes of all arguments except the primary one, so that
// two gateways make one default route and a spare.
const SecondaryMetric = 100

// RouterPriority is that of the default routes which the kernel takes from router
// advertisements (IP6_RT_PRIO_USER of include/net/ip6_route.h).
const RouterPriority = 1024

// RouteDel deletes a route.
type RouteDel Route

var _ Step = RouteDel{}

func (s RouteDel) String() string {
	return strings.Replace(Route(s).String(), "ip route replace", "ip route del", 1)
}

// Apply carries the step out.
func (s RouteDel) Apply(l Linker) error { return l.RouteDel(s) }

// Replaces reports whether the kernel has only one of the two routes.
func (s Route) Replaces(o Route) bool {
	return s.Dst == o.Dst && s.Metric == o.Metric
}
