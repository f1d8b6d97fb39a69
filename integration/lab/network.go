package lab

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Network is one node's: a bridge with the server's address and one tap for
// every NIC of the node.
type Network struct {
	Number  int
	lab     *Lab
	bridged bool // the bridge is there
	taps    []string
	conf    string // dnsmasq's, of BootSpec.TFTP; empty: the lab's own
}

// NewNetwork takes a free subnet and makes its bridge and taps.
func (l *Lab) NewNetwork(ctx context.Context, nics int) (*Network, error) {
	n := &Network{lab: l}
	var err error
	if n.Number, err = l.TakeNumber(); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	if err := n.up(ctx, nics); err != nil {
		return nil, errors.Join(fmt.Errorf("make network: %w", err), n.Close())
	}
	return n, nil
}

// TakeNumber returns the number of a free network: N of 10.77.N.0/24.
func (l *Lab) TakeNumber() (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range maxNetworks {
		if !l.used[i] {
			l.used[i] = true
			return i, nil
		}
	}
	return 0, fmt.Errorf("all %d networks are in use", maxNetworks)
}

// GiveNumber gives the number of a network back.
func (l *Lab) GiveNumber(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.used, n)
}

func (n *Network) up(ctx context.Context, nics int) error {
	br := n.Bridge()
	// No spanning tree and no forward delay: a port forwards at once.
	if err := n.lab.IP(ctx, "link", "add", br, "type", "bridge", "stp_state", "0", "forward_delay", "0"); err != nil {
		return err
	}
	n.bridged = true
	if err := n.lab.IP(ctx, "address", "add", n.Server().String()+"/24", "dev", br); err != nil {
		return err
	}
	if err := n.lab.IP(ctx, "link", "set", br, "up"); err != nil {
		return err
	}
	for i := range nics {
		tap := n.tap(i)
		if err := n.lab.Tap(ctx, tap, br); err != nil {
			return err
		}
		n.taps = append(n.taps, tap)
	}
	return nil
}

// Tap makes a tap that is a port of a bridge. Further words are for ip(8).
func (l *Lab) Tap(ctx context.Context, name, bridge string, more ...string) error {
	if err := l.IP(ctx, "tuntap", "add", name, "mode", "tap"); err != nil {
		return fmt.Errorf("%w; is /dev/net/tun there, and may this user open it?", err)
	}
	if err := l.IP(ctx, append([]string{"link", "set", name, "master", bridge, "up"}, more...)...); err != nil {
		return errors.Join(err, l.IP(ctx, "link", "delete", name))
	}
	return nil
}

// Close removes the network's devices and gives its number back.
func (n *Network) Close() error {
	if n == nil {
		return nil
	}
	links := slices.Clone(n.taps)
	if n.bridged {
		links = append(links, n.Bridge())
	}
	err := n.lab.RemoveLinks(n.Bridge(), links)
	n.lab.GiveNumber(n.Number)
	return err
}

// RemoveLinks takes the links of a network away. The kernel waits for others at each of them
// (synchronize_net, and its one lock for all links), and forty are a fabric.
func (l *Lab) RemoveLinks(network string, links []string) error {
	if len(links) == 0 {
		return nil
	}
	// The caller's context may have ended.
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var batch strings.Builder
	for _, link := range links {
		fmt.Fprintln(&batch, "link delete", link)
	}
	file := l.Path(network + ".remove")
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		return fmt.Errorf("remove the links of %s: %w", network, err)
	}
	return errors.Join(l.IP(ctx, "-force", "-batch", file), os.Remove(file))
}

func (n *Network) tap(nic int) string { return "nd" + strconv.Itoa(n.Number) + "t" + strconv.Itoa(nic) }

// Bridge is the name of the network's bridge.
func (n *Network) Bridge() string { return "nd" + strconv.Itoa(n.Number) + "br" }

// Server is the bridge's own address, at which the network's servers are.
func (n *Network) Server() netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(n.Number), 1}) }

// Client is the address that the node is given.
func (n *Network) Client() netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(n.Number), 23}) }

// NICs are the node's, by which it may boot if it does so by PXE.
func (n *Network) NICs(pxe bool) []NIC {
	nics := make([]NIC, len(n.taps))
	for i, tap := range n.taps {
		nics[i] = NIC{Tap: tap, MAC: n.mac(i), firmware: pxe}
	}
	return nics
}

// mac is QEMU's own prefix, then the network and the NIC.
func (n *Network) mac(nic int) string {
	return fmt.Sprintf("52:54:00:77:%02x:%02x", n.Number, nic+1)
}
