package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// checkConfig judges a config file as /init would: it refuses one that no command line could mend,
// and warns of keys that nobody knows. A config without a root is good: the command line brings it.
func checkConfig(config io.Reader) (warnings []string, err error) {
	args, err := cmdline.ParseConfig(config)
	if err != nil {
		return nil, err
	}
	_, _, err = planOf(nil, args)
	return plan.KeyWarnings(args), err
}

// planOf is the plan of arguments that may leave the root to others: a config to the
// command line, or the other way round. Then it is that of some root with which they
// can be used, and missing says which.
func planOf(line, config cmdline.Args) (p plan.Plan, missing string, err error) {
	args := slices.Concat(config, line)
	if args.Has("root") || args.Has("netroot") || args.Has("nfsroot") || args.Has("boot") {
		p, err = plan.New(line, config)
		return p, "", err
	}
	// The second is for a static address, with which nobody is asked for a root.
	for _, missing = range []string{"dhcp", "nfs:192.0.2.1:/root"} {
		if p, err = plan.New(append(slices.Clone(line), cmdline.Arg{Key: "root", Value: missing, HasValue: true}), config); err == nil {
			break
		}
	}
	return p, missing, err
}

// printPlan prints what /init would do with a config file.
func printPlan(w io.Writer, config io.Reader) error {
	args, err := cmdline.ParseConfig(config)
	if err != nil {
		return err
	}
	p, missing, err := planOf(nil, args)
	if err != nil {
		return err
	}
	if missing != "" {
		if _, err := fmt.Fprintf(w, "(if the command line says root=%s)\n", missing); err != nil {
			return err
		}
	}
	_, err = fmt.Fprint(w, p)
	return err
}
