package main

import (
	"fmt"
	"io"

	boot "github.com/nodisk/nodisk/init"
	"github.com/nodisk/nodisk/init/cmdline"
)

// The hooks join the boot package's plan to build and inspect. A nil hook is
// skipped.
type hooks struct {
	// CheckConfig judges a config file as /init would.
	CheckConfig func(config io.Reader) error
	// PrintPlan prints what /init would do with a config file.
	PrintPlan func(w io.Writer, config io.Reader) error
}

func planHooks() hooks {
	return hooks{CheckConfig: checkConfig, PrintPlan: printPlan}
}

// checkConfig refuses a config that no command line could mend. A config
// without a root is good: the command line brings it.
func checkConfig(config io.Reader) error {
	args, err := cmdline.ParseConfig(config)
	if err != nil {
		return err
	}
	_, err = boot.NewPlan(nil, withRoot(args))
	return err
}

// withRoot completes a config that leaves the root to the command line.
func withRoot(args cmdline.Args) cmdline.Args {
	if args.Has("root") || args.Has("netroot") || args.Has("nfsroot") {
		return args
	}
	return append(args, cmdline.Arg{Key: "root", Value: "dhcp", HasValue: true})
}

func printPlan(w io.Writer, config io.Reader) error {
	args, err := cmdline.ParseConfig(config)
	if err != nil {
		return err
	}
	p, err := boot.NewPlan(nil, withRoot(args))
	if err != nil {
		return err
	}
	if !args.Has("root") {
		if _, err := fmt.Fprintln(w, "(if the command line says root=dhcp)"); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(w, p)
	return err
}
