package main

import (
	"context"
	"fmt"
	"time"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/installed"
)

// checkCmd is "nodisk check".
type checkCmd struct {
	Kernel    string   `help:"Kernel file that the modules are to be loaded by." type:"existingfile" placeholder:"FILE"`
	Modules   string   `help:"/lib/modules/RELEASE, or a root that holds lib/modules. Default: the kernel's release on this machine, the running kernel's without --kernel; nothing with --image or --module-dir." placeholder:"DIR"`
	ModuleDir []string `help:"Directory of modules (.ko) without modules.dep; repeatable." type:"existingdir" placeholder:"DIR" sep:"none"`
	Image     string   `help:"Image whose modules are checked too, of nodisk or any other make." type:"existingfile" placeholder:"IMG"`
	Symvers   string   `help:"The kernel's Module.symvers. Default: the kernel file itself tells (x86), else DIR/build/Module.symvers and the like." type:"existingfile" placeholder:"FILE"`
	KConfig   string   `help:"The kernel's configuration. Default: config beside the kernel, DIR/config, DIR/build/.config, or the one inside the kernel." name:"config" type:"existingfile" placeholder:"FILE"`
	All       bool     `help:"List all findings, not the first 20 of each severity."`
}

// checkLimit is how many findings of a severity are listed without --all.
const checkLimit = 20

// Help is the end of nodisk check --help.
func (checkCmd) Help() string {
	return "Exit status 0: the kernel would load all of them; 1: there are faults; 2: wrong usage. Warnings and " +
		"notes do not count."
}

// Run checks and prints the findings.
func (k *checkCmd) Run(ctx context.Context, c console) error {
	spec, err := k.spec()
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	start := time.Now()
	reports, err := build.Check(ctx, spec)
	if err != nil {
		return fmt.Errorf("check: %w", err)
	}
	took := time.Since(start)
	limit, faults := checkLimit, 0
	if k.All {
		limit = 0
	}
	for _, r := range reports {
		if err := r.WriteText(c.out, limit, took); err != nil {
			return err
		}
		faults += r.Faults()
	}
	if faults > 0 {
		return refusal(faults)
	}
	return nil
}

// refusal is the error of a check with faults.
func refusal(faults int) error {
	what := "faults"
	if faults == 1 {
		what = "fault"
	}
	return fmt.Errorf("check: the kernel refuses modules: %d %s", faults, what)
}

func (k *checkCmd) spec() (build.CheckSpec, error) {
	s := build.CheckSpec{
		Kernel: k.Kernel, Modules: k.Modules, ModuleDirs: k.ModuleDir, Image: k.Image, Symvers: k.Symvers,
		Config: k.KConfig,
	}
	if s.Modules != "" || s.Image != "" || s.ModuleDirs != nil {
		return s, nil
	}
	s.Modules = "/"
	if s.Kernel == "" {
		release, err := installed.Running()
		if err != nil {
			return s, fmt.Errorf("%w; give --kernel and --modules", err)
		}
		s.Release = release
	}
	return s, nil
}
