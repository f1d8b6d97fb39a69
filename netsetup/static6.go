package netsetup

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
)

// check adds an address, static or of DHCPv6, unless the interface has it. The
// kernel looks whether another node has it, too.
func (x *six) check(now time.Time, addr netip.Prefix) {
	x.addr, x.phase, x.at = addr, phase6Checking, now.Add(waitCheck)
	if x.view.of(addr.Addr()) == nil {
		x.do(AddrAdd{Dev: x.view.dev, Addr: addr})
		return
	}
	x.checked(now)
}

// checked goes on when the kernel has looked.
func (x *six) checked(now time.Time) {
	a := x.view.of(x.addr.Addr())
	switch {
	case a == nil || a.tentative:
	case a.duplicate:
		text := x.addr.Addr().String() + " is in use by another node of this network" + checkedBy
		if x.method != MethodStatic {
			text += ": declined, " + x.from.String() + " leased it"
			x.newTransaction()
			x.send(dhcpv6.MessageTypeDecline, 0)
		}
		x.refuse(text)
		x.takeBack(now)
	case x.method == MethodStatic:
		l := *x.static
		l.Kept, l.Addr, l.Router = []netip.Prefix{l.Addr}, netip.Prefix{}, x.view.gateway
		x.bind(&l)
	default:
		x.phase, x.at = phase6Routing, now.Add(waitRouter)
	}
}

// takeBack takes the address from the interface: one that another node has
// stays there, of no use, and is checked anew only when it is added anew.
func (x *six) takeBack(now time.Time) {
	x.do(AddrDel{Dev: x.view.dev, Addr: x.addr})
	x.again(now)
}

// NoRouters keeps the kernel from making addresses and routes of router
// advertisements.
type NoRouters struct{ Dev string }

var _ Step = NoRouters{}

func (s NoRouters) String() string       { return "sysctl -w net.ipv6.conf." + s.Dev + ".accept_ra=0" }
func (s NoRouters) apply(l linker) error { return l.noRouters(s.Dev) }

// RouterMetric is the metric of the default routes that the kernel takes from the
// router advertisements on a device (ra_defrtr_metric of the kernel's
// Documentation/networking/ip-sysctl.rst). A kernel before 5.12 has no such
// setting: it takes none from there.
type RouterMetric struct {
	Dev    string
	Metric int
}

var _ Step = RouterMetric{}

func (s RouterMetric) String() string {
	return fmt.Sprintf("sysctl -w net.ipv6.conf.%s.ra_defrtr_metric=%d", s.Dev, s.Metric)
}
func (s RouterMetric) apply(l linker) error { return l.routerMetric(s.Dev, s.Metric) }

// AddrDel takes an address away.
type AddrDel struct {
	Dev  string
	Addr netip.Prefix
}

var _ Step = AddrDel{}

func (s AddrDel) String() string       { return "ip addr del " + s.Addr.String() + " dev " + s.Dev }
func (s AddrDel) apply(l linker) error { return l.addrDel(s.Dev, s.Addr) }
