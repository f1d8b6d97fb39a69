package link

import (
	"fmt"
	"net/netip"
)

// NoRouters keeps the kernel from making addresses and routes from router advertisements.
type NoRouters struct{ Dev string }

var _ Step = NoRouters{}

func (s NoRouters) String() string { return "sysctl -w net.ipv6.conf." + s.Dev + ".accept_ra=0" }

// Apply carries the step out.
func (s NoRouters) Apply(l Linker) error { return l.NoRouters(s.Dev) }

// RouterMetric is the metric of the default routes that the kernel takes from the router
// advertisements on a device (ra_defrtr_metric of the kernel's
// Documentation/networking/ip-sysctl.rst). A kernel before 5.12 has no such setting, and the step
// does nothing.
type RouterMetric struct {
	Dev    string
	Metric int
}

var _ Step = RouterMetric{}

func (s RouterMetric) String() string {
	return fmt.Sprintf("sysctl -w net.ipv6.conf.%s.ra_defrtr_metric=%d", s.Dev, s.Metric)
}

// Apply carries the step out.
func (s RouterMetric) Apply(l Linker) error { return l.RouterMetric(s.Dev, s.Metric) }

// AddrDel removes an address.
type AddrDel struct {
	Dev  string
	Addr netip.Prefix
}

var _ Step = AddrDel{}

func (s AddrDel) String() string { return "ip addr del " + s.Addr.String() + " dev " + s.Dev }

// Apply carries the step out.
func (s AddrDel) Apply(l Linker) error { return l.AddrDel(s.Dev, s.Addr) }
