package integration

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// A network is one node's: a bridge with the server's address and one tap for
// every NIC of the node.
type network struct {
	n       int
	lab     *Lab
	bridged bool // the bridge is there
	taps    []string
}

// network takes a free subnet and makes its bridge and taps.
func (l *Lab) network(ctx context.Context, nics int) (*network, error) {
	n := &network{lab: l, n: -1}
	l.mu.Lock()
	for i := range maxNetworks {
		if !l.used[i] {
			l.used[i], n.n = true, i
			break
		}
	}
	l.mu.Unlock()
	if n.n < 0 {
		return nil, fmt.Errorf("make network: all %d are in use", maxNetworks)
	}
	if err := n.up(ctx, nics); err != nil {
		return nil, errors.Join(fmt.Errorf("make network: %w", err), n.close())
	}
	return n, nil
}

func (n *network) up(ctx context.Context, nics int) error {
	br := n.bridge()
	// No spanning tree and no forward delay: a port forwards at once.
	if err := n.lab.ip(ctx, "link", "add", br, "type", "bridge", "stp_state", "0", "forward_delay", "0"); err != nil {
		return err
	}
	n.bridged = true
	if err := n.lab.ip(ctx, "address", "add", n.server().String()+"/24", "dev", br); err != nil {
		return err
	}
	if err := n.lab.ip(ctx, "link", "set", br, "up"); err != nil {
		return err
	}
	for i := range nics {
		tap := "nd" + strconv.Itoa(n.n) + "t" + strconv.Itoa(i)
		if err := n.lab.ip(ctx, "tuntap", "add", tap, "mode", "tap"); err != nil {
			return fmt.Errorf("%w; is /dev/net/tun there, and may this user open it?", err)
		}
		n.taps = append(n.taps, tap)
		if err := n.lab.ip(ctx, "link", "set", tap, "master", br, "up"); err != nil {
			return err
		}
	}
	return nil
}

// close removes the network's devices and gives its number back.
func (n *network) close() error {
	// Its caller's context may have ended.
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var errs []error
	for _, tap := range n.taps {
		errs = append(errs, n.lab.ip(ctx, "link", "delete", tap))
	}
	if n.bridged {
		errs = append(errs, n.lab.ip(ctx, "link", "delete", n.bridge()))
	}
	n.lab.mu.Lock()
	delete(n.lab.used, n.n)
	n.lab.mu.Unlock()
	return errors.Join(errs...)
}

func (n *network) bridge() string     { return "nd" + strconv.Itoa(n.n) + "br" }
func (n *network) server() netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(n.n), 1}) }
func (n *network) client() netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(n.n), 23}) }

// mac is QEMU's own prefix, then the network and the NIC.
func (n *network) mac(nic int) string {
	return fmt.Sprintf("52:54:00:77:%02x:%02x", n.n, nic+1)
}
