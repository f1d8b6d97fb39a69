package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/abi"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/modtree"
	"github.com/nodisk/nodisk/build/preflight"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// planCmd is "nodisk plan".
type planCmd struct {
	Words     []string `arg:"" optional:"" help:"Arguments of the node's kernel command line, as in: nodisk plan --image node.img root=dhcp ip=dhcp."`
	Cmdline   string   `help:"The node's kernel command line (APPEND in pxelinux.cfg)." placeholder:"WORDS"`
	Image     []string `help:"Image; repeat it for files that the boot loader puts one after the other." placeholder:"FILE" sep:"none"`
	Inventory string   `help:"What hardware the node has: a file of nodisk inventory, of modaliases or of lspci -nn; or host, this machine." placeholder:"FILE|host"`
	Modules   string   `help:"Module tree of the kernel, to say what could be added: /lib/modules/RELEASE, or a root that holds lib/modules." placeholder:"DIR"`
	Kernel    string   `help:"Kernel file that boots, to see whether the image's modules are its own." type:"existingfile" placeholder:"FILE"`
	Strict    bool     `help:"Let warnings count as faults."`
	Quiet     bool     `help:"Print faults, warnings and the verdict only." short:"q"`
	JSON      bool     `help:"Print plan and verdict as JSON." name:"json"`
}

// Help is the end of nodisk plan --help.
func (planCmd) Help() string {
	return "Exit status: 0 would boot, 1 would not, 2 something given cannot be read."
}

// A usageError is something given that cannot be used: no answer at all.
type usageError struct{ error }

func (e *usageError) Unwrap() error { return e.error }

var errWouldNotBoot = errors.New("plan: the node would not boot")

// Run prints what would happen, and the verdict last.
func (p *planCmd) Run(ctx context.Context, c console) error {
	if err := p.checkWords(ctx); err != nil {
		return &usageError{fmt.Errorf("plan: %w", err)}
	}
	if p.Cmdline = strings.TrimSpace(p.Cmdline + " " + strings.Join(p.Words, " ")); p.Cmdline == "" && p.Image == nil &&
		p.Inventory == "" && p.Kernel == "" {
		return &usageError{errors.New("plan: nothing to judge: give the node's --image and --cmdline, and its " +
			"hardware by --inventory")}
	}
	in, err := p.input(ctx)
	if err == nil {
		in.Checks, err = p.check(ctx)
	}
	if err != nil {
		return &usageError{fmt.Errorf("plan: %w", err)}
	}
	report, err := preflight.Check(ctx, in)
	if err != nil {
		return &usageError{fmt.Errorf("plan: %w", err)}
	}
	if err := p.print(c, report); err != nil {
		return err
	}
	if !report.Boots() || p.Strict && report.Doubts != nil {
		return errWouldNotBoot
	}
	return nil
}

// checkWords refuses names of files where arguments of the command line are expected.
func (p *planCmd) checkWords(ctx context.Context) error {
	var errs []error
	for _, word := range p.Words {
		info, err := os.Stat(word)
		if err != nil || strings.ContainsRune(word, '=') {
			continue
		}
		var flag string
		switch _, err := kernel.Open(ctx, word); {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err == nil && info.Mode().IsRegular():
			flag = "--kernel"
		case info.Mode().IsRegular():
			flag = "--image"
		case strings.ContainsRune(word, '/'): // an argument such as rw may be a directory's name too
			flag = "--modules"
		default:
			continue
		}
		what := map[bool]string{true: "directory", false: "file"}[info.IsDir()]
		errs = append(errs, fmt.Errorf("%s is a %s: give it by %s; an argument of the node's command line that is "+
			"spelled like that is for --cmdline", word, what, flag))
	}
	return errors.Join(errs...)
}

// print writes what was found out.
func (p *planCmd) print(c console, r preflight.Report) error {
	switch {
	case p.JSON:
		return writeJSON(c.out, jsonPlan(r, p.Strict))
	case p.Quiet:
		only := preflight.Report{Faults: r.Faults, Doubts: r.Doubts, Without: r.Without}
		return only.WriteText(c.out, p.Strict)
	}
	return r.WriteText(c.out, p.Strict)
}

// check compares the modules of the image with the kernel.
func (p *planCmd) check(ctx context.Context) ([]abi.Report, error) {
	if p.Kernel == "" {
		return nil, nil
	}
	var all []abi.Report
	for _, image := range p.Image {
		reports, err := build.Check(ctx, build.CheckSpec{Kernel: p.Kernel, Image: image})
		if err != nil {
			return nil, err
		}
		all = append(all, reports...)
	}
	return all, nil
}

// input reads what was given.
func (p *planCmd) input(ctx context.Context) (preflight.Input, error) {
	in := preflight.Input{Line: cmdline.Parse(p.Cmdline)}
	if p.Kernel != "" {
		k, err := kernel.Open(ctx, p.Kernel)
		if err != nil {
			return in, err
		}
		in.Kernel = &k
	}
	if len(p.Image) > 0 {
		var err error
		if in.Image, err = preflight.OpenImage(ctx, p.Image...); err != nil {
			return in, err
		}
	}
	if p.Inventory != "" {
		v, err := readInventory(ctx, p.Inventory)
		if err != nil {
			return in, err
		}
		in.Inventory = &v
	}
	if p.Modules != "" {
		release := ""
		if in.Kernel != nil {
			release = in.Kernel.Release
		} else if in.Image != nil {
			release = in.Image.Release()
		}
		var err error
		if in.Tree, err = modtree.Open(p.Modules, release, new(imageFlags).cache()); err != nil {
			return in, err
		}
	}
	return in, nil
}
