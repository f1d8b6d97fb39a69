package netsetup

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Up brings the network up and returns when every ip= word has what it asks
// for, or has been given up while another is up. It needs CAP_NET_ADMIN and
// CAP_NET_RAW, and sysfs on /sys.
//
// The error of an ended context wraps its cause and says what was waited for,
// interface by interface. Up may be called again after an error: changes made
// already are no error. log may be nil.
func Up(ctx context.Context, c Config, log *slog.Logger) (State, error) {
	if _, err := os.Stat(sysClassNet); err != nil {
		return State{}, fmt.Errorf("find network interfaces: sysfs is not mounted: %w", err)
	}
	return run(ctx, c, kernel{}, log)
}

// ApplyHostname sets the node's host name (sethostname(2)).
func ApplyHostname(name string) error {
	if !validHostname(name) {
		return fmt.Errorf("set host name: %q is not a host name", name)
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name %s: %w", name, err)
	}
	return nil
}

// kernel is the running kernel. Each request has a socket of its own, so that
// one which waits for a slow driver does not hold up the others more than the
// kernel's own lock does.
type kernel struct{}

var _ system = kernel{}

// link finds a device by name.
func (kernel) link(dev string) (netlink.Link, error) {
	index, err := interfaceIndex(dev)
	if err != nil {
		return nil, err
	}
	return &netlink.GenericLink{LinkAttrs: netlink.LinkAttrs{Name: dev, Index: index}}, nil
}

func (k kernel) linkUp(dev string, up bool) error {
	l, err := k.link(dev)
	if err != nil {
		return err
	}
	if up {
		return netlink.LinkSetUp(l)
	}
	return netlink.LinkSetDown(l)
}

func (k kernel) linkMTU(dev string, mtu int) error {
	l, err := k.link(dev)
	if err != nil {
		return err
	}
	return netlink.LinkSetMTU(l, mtu)
}

func (k kernel) linkName(dev, name string) error {
	l, err := k.link(dev)
	if err != nil {
		return err
	}
	return netlink.LinkSetName(l, name)
}

func (k kernel) linkAddr(dev string, addr HardwareAddr) error {
	l, err := k.link(dev)
	if err != nil {
		return err
	}
	return netlink.LinkSetHardwareAddr(l, net.HardwareAddr(addr))
}

func (k kernel) addrAdd(dev string, addr netip.Prefix) error {
	l, err := k.link(dev)
	if err != nil {
		return err
	}
	// The library adds the broadcast address.
	err = netlink.AddrAdd(l, &netlink.Addr{IPNet: ipNet(addr)})
	if errors.Is(err, unix.EEXIST) {
		return nil
	}
	return err
}

func (k kernel) routeSet(r Route) error {
	l, err := k.link(r.Dev)
	if err != nil {
		return err
	}
	route := netlink.Route{LinkIndex: l.Attrs().Index, Dst: ipNet(r.Dst), Priority: r.Metric}
	if r.Via.IsValid() {
		route.Gw = r.Via.AsSlice()
	} else {
		route.Scope = netlink.SCOPE_LINK
	}
	if r.OnLink {
		route.SetFlag(netlink.FLAG_ONLINK)
	}
	return netlink.RouteReplace(&route)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// interfaceIndex asks by SIOCGIFINDEX (netdevice(7)): one small system call
// where a netlink lookup parses every attribute of the link.
func interfaceIndex(dev string) (int, error) {
	ifr, err := unix.NewIfreq(dev)
	if err != nil {
		return 0, err
	}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.IoctlIfreq(fd, unix.SIOCGIFINDEX, ifr); err != nil {
		return 0, err
	}
	return int(ifr.Uint32()), nil
}
