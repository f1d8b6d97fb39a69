package fabric

import (
	"context"
	"fmt"
	"regexp"
	"slices"

	"github.com/nodisk/nodisk/integration/lab"
)

// orderedLine is what the node's kernel says when it has carried out an order.
func orderedLine(text string) *regexp.Regexp {
	return regexp.MustCompile(`softib: ordered: ` + regexp.QuoteMeta(text) + `$`)
}

// A fabricNode is a node of a fabric that is switched on.
type node struct {
	fabric *Fabric
	boot   Boot
	port   *place
	node   *lab.Node
	qemu   *lab.Monitor
}

// act carries out what an act says, in the order of its fields.
func (n *node) act(ctx context.Context, a lab.Act) error {
	if err := a.Cables(n.qemu.Plug); err != nil {
		return err
	}
	for _, text := range a.HCA {
		if err := n.order(ctx, lab.Fill(text, n.port.values)); err != nil {
			return err
		}
	}
	if a.Server != "" {
		if _, err := n.fabric.server.Run(ctx, lab.Fill(a.Server, n.port.values)); err != nil {
			return err
		}
	}
	if a.Reserve {
		return n.fabric.reserve(ctx, n.boot, n.port)
	}
	return nil
}

// order tells the node's adapters what they are like from now on, and returns when
// they are so.
func (n *node) order(ctx context.Context, text string) error {
	said, _, _ := n.node.Console().Snapshot(0)
	if err := sendOrder(n.fabric.Bridge(), n.port.nics[len(n.port.nics)-1].MAC, text); err != nil {
		return err
	}
	if _, err := n.node.Console().Await(ctx, len(said), orderedLine(text)); err != nil {
		return fmt.Errorf("order %s: %w", text, err)
	}
	return nil
}

// reservesLate reports whether the DHCP server is told of the node by an act.
func (b Boot) reservesLate() bool {
	return slices.ContainsFunc(b.Script, func(a lab.Act) bool { return a.Reserve })
}
