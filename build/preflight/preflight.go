// Package preflight predicts, on the administrator's desk, whether a node would boot.
//
// [Check] puts together what is known there: the command line, the image, and an
// inventory of the node's hardware. It makes the plan that /init would make and
// rehearses the loading of modules with the image's own indexes and /init's own
// code, then compares the result with what the plan needs: an adapter with a
// driver, modules for the root, a release that fits the kernel.
//
// What only the network knows (an address, a root path, whether the server is up) is beyond it.
package preflight

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/inventory"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/init/linux"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/modload"
)

// An Input is what is known. All of it may be missing.
type Input struct {
	Line      cmdline.Args    // the kernel command line
	Image     *Image          // nil: none
	Inventory *inventory.List // of the node; nil: none
	Kernel    *kernel.Image   // that boots; nil: the image's modules say it
	Checks    []abi.Report    // of the image's modules against that kernel (build.Check)
	Tree      *modtree.Tree   // of that kernel, to say what could be added; nil: none
	Root      string          // directory that will be the root, to look for its init; empty: not at hand
	// Driver is the module for a device, where who made the inventory knows it; nil: nobody does.
	Driver func(inventory.Device) string
}

// A Report is what would happen.
type Report struct {
	About   []string // image, node and kernel, a line each
	Plan    string   // empty if the command line cannot be used
	Network []string // the ip(8) commands that set the network up before any answer of DHCP; empty if none is needed
	Devices []Served // network and storage of the inventory
	Phases  []Phase  // modules in load order
	Faults  []string // each keeps the node from booting
	Doubts  []string // warnings
	Notes   []string // what is as it should be, but may surprise
	Without string   // what was not checked, for the verdict; empty if nothing
}

// A Served is a device and the modules that serve it.
type Served struct {
	Device  string
	Drivers string // or why there is none
}

// A Phase is a part of the boot in which modules load.
type Phase struct {
	Name    string
	Modules []Loaded
}

// A Loaded is a module that would load, and for what.
type Loaded struct{ Name, For string }

// Boots reports whether the node would boot.
func (r Report) Boots() bool { return len(r.Faults) == 0 }

// Check predicts. The error is that of ctx, or of indexes that cannot be read.
func Check(ctx context.Context, in Input) (Report, error) {
	c := &checker{Input: in, reasons: make(map[string]string), loaded: make(map[string]bool)}
	c.about()
	c.age()
	planned := c.plan()
	switch {
	case c.Image == nil:
		c.without("no image was given")
		if planned {
			c.interfaces()
		}
		return c.Report, nil
	case !c.ours() || !c.openIndex():
		return c.Report, nil
	}
	if err := c.rehearse(ctx); err != nil {
		return c.Report, err
	}
	if c.Inventory == nil {
		c.without("no inventory was given: whether it has the drivers of the node was not checked")
	} else {
		c.devices()
	}
	c.contents()
	c.firmware()
	c.softdeps()
	if !planned {
		c.Phases = nil // the boot ends before a module is loaded
		return c.Report, nil
	}
	c.root()
	c.interfaces()
	return c.Report, nil
}

type checker struct {
	Input
	Report

	decided plan.Plan
	index   *modload.Index
	conf    modload.Conf
	aliases inventory.Aliases
	tree    *modload.Index // of Input.Tree, nil without
	inTree  inventory.Aliases

	phase   *Phase
	reasons map[string]string // of modules in the current phase
	loaded  map[string]bool
	flat    []*ko.Module // loaded ones that no index knows

	ready    int      // adapters that would have a link
	adapters []string // drivers of those, as far as they are modules
	builtin  bool     // the kernel itself has a driver of one of those
}

// without adds to what was not checked.
func (c *checker) without(what string) {
	c.Without = strings.TrimPrefix(c.Without+"; "+what, "; ")
}

func (c *checker) fault(format string, args ...any) { c.Faults = appendNew(c.Faults, format, args...) }

func (c *checker) doubt(format string, args ...any) { c.Doubts = appendNew(c.Doubts, format, args...) }

func (c *checker) note(format string, args ...any) { c.Notes = appendNew(c.Notes, format, args...) }

// appendNew adds a sentence that is not there yet, in one line.
func appendNew(list []string, format string, args ...any) []string {
	text := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ")
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// about names what was given.
func (c *checker) about() {
	if i := c.Image; i != nil {
		c.About = append(c.About, "image   "+i.text())
	}
	if v := c.Inventory; v != nil {
		text := v.Name
		if v.Product != "" {
			text += ", " + v.Product
		}
		if v.Release != "" {
			text += ", listed under Linux " + v.Release
		}
		c.About = append(c.About, fmt.Sprintf("node    %s, %s", text, count(len(v.Devices), "device")))
	}
	if c.Kernel != nil {
		c.About = append(c.About, "kernel  Linux "+c.Kernel.Release)
	}
}

// age reports whether the kernel is one that nodisk is for. That of the inventory is
// not the one that boots.
func (c *checker) age() {
	release := ""
	switch {
	case c.Kernel != nil:
		release = c.Kernel.Release
	case c.Image != nil:
		release = c.Image.Release()
	}
	if err := linux.TooOld(release); err != nil {
		c.fault("%v", err)
	}
}

// plan makes the plan of command line and image, and reports whether it can be used.
func (c *checker) plan() bool {
	var config cmdline.Args
	if c.Image != nil {
		var err error
		if config, err = cmdline.ParseConfig(strings.NewReader(c.Image.config)); err != nil {
			c.fault("%s: %v", configPath, err)
		}
	}
	var err error
	c.decided, err = plan.New(c.Line, config)
	for _, w := range c.decided.Warnings {
		c.doubt("command line: %s", w)
	}
	for _, n := range c.decided.Notes {
		c.note("command line: %s", n)
	}
	if err != nil {
		for line := range strings.Lines(err.Error()) {
			c.fault("command line: %s", strings.TrimSpace(line))
		}
		return false
	}
	c.names()
	shown := c.decided
	shown.Warnings = nil
	if where := c.decided.OnlyLocally(c.Line); where != "" {
		c.without(where)
	}
	c.Plan = shown.String()
	c.commands()
	return true
}

// names warns about servers whose address nothing on the command line or in the image knows.
func (c *checker) names() {
	var known plan.Names
	if c.Image != nil {
		var err error
		if known, err = plan.ReadNames(c.Image.files); err != nil {
			c.doubt("%v", err)
		}
	}
	for _, w := range c.decided.Unresolved(known) {
		c.doubt("command line: %s", w)
	}
}
