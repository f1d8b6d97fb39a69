package lab

import (
	"context"
	"fmt"
	"regexp"
	"time"
)

// An Act is something that happens to a node's cables, NICs, adapters or servers.
type Act struct {
	// On waits for a line of the node's console that matches the regular
	// expression, after the one of the act before; After is the time to pass
	// then.
	On    string
	After time.Duration

	Pull, Plug []int  // cables, at both ends
	Insert     []int  // NICs that were absent
	Server     string // command of the server, on a rig in the node's namespace

	// On a fabric only. HCA are parameters of the node's softib that change,
	// NAME=VALUE; Reserve tells the DHCP server of the node, which did not know it
	// till then.
	HCA     []string
	Reserve bool
}

// Play follows a script; do carries out what an act does when its time has come.
func Play(ctx context.Context, v *Node, script []Act, do func(context.Context, Act) error) error {
	mark := 0
	for i, a := range script {
		err := a.awaited(ctx, v, &mark)
		if err == nil {
			err = do(ctx, a)
		}
		if err != nil {
			return fmt.Errorf("act %d of the script: %w", i+1, err)
		}
	}
	return nil
}

// awaited returns when the act's time has come. mark is how far the console has
// been read.
func (a Act) awaited(ctx context.Context, v *Node, mark *int) error {
	if a.On != "" {
		re, err := regexp.Compile(a.On)
		if err != nil {
			return err
		}
		if *mark, err = v.Console().Await(ctx, *mark, re); err != nil {
			return err
		}
	}
	if a.After > 0 {
		select {
		case <-time.After(a.After):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Cables pulls and plugs those that the act names.
func (a Act) Cables(plug func(i int, up bool) error) error {
	for _, i := range a.Pull {
		if err := plug(i, false); err != nil {
			return err
		}
	}
	for _, i := range a.Plug {
		if err := plug(i, true); err != nil {
			return err
		}
	}
	return nil
}
