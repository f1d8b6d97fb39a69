package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/internal/infile"
)

// inventoryCmd is "nodisk inventory".
type inventoryCmd struct{}

// Help is the end of nodisk inventory --help.
func (inventoryCmd) Help() string {
	return "Run it on the node, under any Linux that has booted there, and give what it prints to nodisk build " +
		"--inventory and nodisk plan --inventory."
}

// Run prints what hardware this machine has.
func (inventoryCmd) Run(c console) error {
	v, err := hostInventory()
	if err != nil {
		return err
	}
	return v.WriteText(c.out)
}

// hostWord is what stands for this machine where an inventory's file is asked for.
const hostWord = "host"

func hostInventory() (inventory.List, error) {
	release, err := installed.Running()
	if err != nil {
		return inventory.List{}, fmt.Errorf("take inventory: %w", err)
	}
	return inventory.Host(os.DirFS("/sys"), release)
}

// readInventory reads a file, or this machine.
func readInventory(ctx context.Context, name string) (inventory.List, error) {
	if name == hostWord {
		return hostInventory()
	}
	f, err := infile.Open(ctx, name)
	if err != nil {
		return inventory.List{}, fmt.Errorf("read inventory: %w", err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return inventory.List{}, fmt.Errorf("read inventory: %s is a directory: name a file in it, as --inventory %s",
			name, filepath.Join(name, "NODE.txt"))
	}
	return inventory.Parse(name, f)
}

// inventories reads those of nodisk build; hostonly adds this machine.
func inventories(ctx context.Context, names []string, hostonly bool) ([]inventory.List, error) {
	if hostonly {
		names = append(names, hostWord)
	}
	var list []inventory.List
	for _, name := range names {
		v, err := readInventory(ctx, name)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, nil
}
