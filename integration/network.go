package integration

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

// A network is one node's: a bridge with the server's address and one tap for
// every NIC of the node.
type network struct {
	n       int
	lab     *Lab
	bridged bool // the bridge is there
	taps    []string
	conf    string // dnsmasq's, of BootSpec.TFTP; empty: the lab's own
}

// network takes a free subnet and makes its bridge and taps.
func (l *Lab) network(ctx context.Context, nics int) (*network, error) {
	n := &network{lab: l}
	var err error
	if n.n, err = l.takeNumber(); err != nil {
		return nil, fmt.Errorf("make network: %w", err)
	}
	if err := n.up(ctx, nics); err != nil {
		return nil, errors.Join(fmt.Errorf("make network: %w", err), n.close())
	}
	return n, nil
}

// takeNumber returns the number of a free network: N of 10.77.N.0/24.
func (l *Lab) takeNumber() (int, error) {
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

// giveNumber gives the number of a network back.
func (l *Lab) giveNumber(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.used, n)
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
		tap := n.tap(i)
		if err := n.lab.tap(ctx, tap, br); err != nil {
			return err
		}
		n.taps = append(n.taps, tap)
	}
	return nil
}

// tap makes a tap that is a port of a bridge. Further words are for ip(8).
func (l *Lab) tap(ctx context.Context, name, bridge string, more ...string) error {
	if err := l.ip(ctx, "tuntap", "add", name, "mode", "tap"); err != nil {
		return fmt.Errorf("%w; is /dev/net/tun there, and may this user open it?", err)
	}
	if err := l.ip(ctx, append([]string{"link", "set", name, "master", bridge, "up"}, more...)...); err != nil {
		return errors.Join(err, l.ip(ctx, "link", "delete", name))
	}
	return nil
}

// close removes the network's devices and gives its number back.
func (n *network) close() error {
	if n == nil {
		return nil
	}
	links := slices.Clone(n.taps)
	if n.bridged {
		links = append(links, n.bridge())
	}
	err := n.lab.removeLinks(n.bridge(), links)
	n.lab.giveNumber(n.n)
	return err
}

// removeLinks takes the links of a network away. The kernel waits for others at each of them
// (synchronize_net, and its one lock for all links), and forty are a fabric.
func (l *Lab) removeLinks(network string, links []string) error {
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
	file := l.path(network + ".remove")
	if err := os.WriteFile(file, []byte(batch.String()), 0o600); err != nil {
		return fmt.Errorf("remove the links of %s: %w", network, err)
	}
	return errors.Join(l.ip(ctx, "-force", "-batch", file), os.Remove(file))
}

func (n *network) tap(nic int) string { return "nd" + strconv.Itoa(n.n) + "t" + strconv.Itoa(nic) }

// bridge is the name of the network's bridge.
func (n *network) bridge() string { return "nd" + strconv.Itoa(n.n) + "br" }

// server is the bridge's own address, at which the network's servers are.
func (n *network) server() netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(n.n), 1}) }

// client is the address that the node is given.
func (n *network) client() netip.Addr { return netip.AddrFrom4([4]byte{10, 77, byte(n.n), 23}) }

// nics are the node's, by which it may boot if it does so by PXE.
func (n *network) nics(pxe bool) []nic {
	nics := make([]nic, len(n.taps))
	for i, tap := range n.taps {
		nics[i] = nic{tap: tap, mac: n.mac(i), firmware: pxe}
	}
	return nics
}

// mac is QEMU's own prefix, then the network and the NIC.
func (n *network) mac(nic int) string {
	return fmt.Sprintf("52:54:00:77:%02x:%02x", n.n, nic+1)
}
