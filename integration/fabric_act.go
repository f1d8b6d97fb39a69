package integration

import (
	"context"
	"fmt"
	"regexp"
	"slices"
)

// orderedLine is what the node's kernel says when it has carried out an order.
func orderedLine(text string) *regexp.Regexp {
	return regexp.MustCompile(`softib: ordered: ` + regexp.QuoteMeta(text) + `$`)
}

// A fabricNode is a node of a fabric that is switched on.
type fabricNode struct {
	fabric *Fabric
	boot   FabricBoot
	port   *fabricPort
	node   *node
	qemu   *monitor
}

// act carries out what an act says, in the order of its fields.
func (n *fabricNode) act(ctx context.Context, a Act) error {
	if err := a.cables(n.qemu.plug); err != nil {
		return err
	}
	for _, text := range a.HCA {
		if err := n.order(ctx, fill(text, n.port.values)); err != nil {
			return err
		}
	}
	if a.Server != "" {
		if _, err := n.fabric.server.run(ctx, fill(a.Server, n.port.values)); err != nil {
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
func (n *fabricNode) order(ctx context.Context, text string) error {
	said, _, _ := n.node.console().snapshot(0)
	if err := sendOrder(n.fabric.bridge(), n.port.nics[len(n.port.nics)-1].mac, text); err != nil {
		return err
	}
	if _, err := n.node.console().await(ctx, len(said), orderedLine(text)); err != nil {
		return fmt.Errorf("order %s: %w", text, err)
	}
	return nil
}

// reservesLate reports whether the DHCP server is told of the node by an act.
func (b FabricBoot) reservesLate() bool {
	return slices.ContainsFunc(b.Script, func(a Act) bool { return a.Reserve })
}
