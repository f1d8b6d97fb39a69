package lease

import (
	"net/netip"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"

	"github.com/nodisk/nodisk/netsetup/link"
)

// check adds an address, static or of DHCPv6, unless the interface has it. The
// kernel looks whether another node has it, too.
func (x *IPv6) check(now time.Time, addr netip.Prefix) {
	x.addr, x.phase, x.at = addr, phase6Checking, now.Add(waitCheck)
	if x.View.Of(addr.Addr()) == nil {
		x.do(link.AddrAdd{Dev: x.View.Dev, Addr: addr})
		return
	}
	x.checked(now)
}

// checked goes on when the kernel has looked.
func (x *IPv6) checked(now time.Time) {
	a := x.View.Of(x.addr.Addr())
	switch {
	case a == nil || a.Tentative:
	case a.Duplicate:
		text := x.addr.Addr().String() + " is in use by another node of this network" + link.CheckedBy
		if x.Method != MethodStatic {
			text += ": declined, " + x.from.String() + " leased it"
			x.newTransaction()
			x.send(dhcpv6.MessageTypeDecline, 0)
		}
		x.refuse(text)
		x.takeBack(now)
	case x.Method == MethodStatic:
		l := *x.Static
		l.Kept, l.Addr, l.Router = []netip.Prefix{l.Addr}, netip.Prefix{}, x.View.Gateway
		x.bind(&l)
	default:
		x.phase, x.at = phase6Routing, now.Add(waitRouter)
	}
}

// takeBack removes the address from the interface: one that another node has would stay there, of
// no use, and be checked again only when it is added again.
func (x *IPv6) takeBack(now time.Time) {
	x.do(link.AddrDel{Dev: x.View.Dev, Addr: x.addr})
	x.again(now)
}
