package bringup

import (
	"context"
	"fmt"
	"log/slog"
	"os"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// A Network is being set up, or kept while the boot goes on.
type Network struct {
	r *runner
}

// New prepares a network; the node's is untouched until Up. Close ends it. log may be nil.
func New(c netsetup.Config, log *slog.Logger) (*Network, error) {
	if _, err := os.Stat(link.SysClassNet); err != nil {
		return nil, fmt.Errorf("find network interfaces: sysfs is not mounted: %w", err)
	}
	scheme, _ := link.ParseScheme(c.NamingScheme) // Warnings reports an unknown one
	if c.USBNames = c.USBNaming(); c.USBNames == 0 {
		c.USBNames = netsetup.RootUSB(kernfile.DirFS("/"), link.KernelVersion())
	}
	r := newRunner(c, kernel{link.Kernel{Scheme: scheme}}, log)
	return &Network{r: r}, nil
}

// Resume tells the network about attempts before this one, before Up: what they have left and
// this one does not want is taken away as soon as there is something better.
func (n *Network) Resume(t netsetup.Traces) { n.r.before = t }

// Traces are what this attempt and those before it have left so far. It may be called when
// neither Up nor Keep runs.
func (n *Network) Traces() netsetup.Traces { return n.r.traces() }

// Up brings the network up and returns when every ip= argument has what it asks for, or has been
// given up while another is up. It needs CAP_NET_ADMIN and CAP_NET_RAW, and sysfs on /sys. It may
// be called once.
//
// The error of an ended context wraps its cause and says what was waited for, interface by
// interface. Another Network may carry on after an error: finding changes already made is not an
// error.
func (n *Network) Up(ctx context.Context) (netsetup.State, error) {
	return n.r.up(ctx)
}

// Keep carries on after Up until ctx ends: late ports join their bonds and bridges, leases are
// renewed, and with rd.neednet further interfaces get their addresses. The error says why that is
// no longer possible.
func (n *Network) Keep(ctx context.Context) error {
	return n.r.keep(ctx)
}

// State is what has been achieved so far: besides what Up has returned, the interfaces that Keep
// has set up. It may be called when neither Up nor Keep runs.
func (n *Network) State() netsetup.State { return n.r.result() }

// Close ends what Up and Keep started, and waits for it. The kernel keeps links, addresses and
// routes.
func (n *Network) Close() {
	n.r.close()
}

// ApplyHostname sets the node's host name (sethostname(2)).
func ApplyHostname(name string) error {
	if !netsetup.ValidHostname(name) {
		return fmt.Errorf("set host name: %q is not a host name", name)
	}
	if err := unix.Sethostname([]byte(name)); err != nil {
		return fmt.Errorf("set host name %s: %w", name, err)
	}
	return nil
}

// kernel is the running kernel; its changes are in link_linux.go. Each request has a socket of
// its own, so that one which waits for a slow driver does not delay the others more than the
// kernel's own lock does.
type kernel struct{ link.Kernel }

var _ system = kernel{}
