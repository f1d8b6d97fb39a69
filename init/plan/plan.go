package plan

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/iscsi"
	"github.com/nodisk/nodisk/netsetup"
)

// A Plan is all that can be decided before the machine is looked at.
type Plan struct {
	Root rootfs.Root
	// Targets are those of root=iscsi:, netroot=iscsi: and
	// rd.iscsi.target.*=. Those of DHCP's root path come later.
	Targets []iscsi.Target
	// Firmware: rd.iscsi.firmware= or root=ibft, the targets of the firmware's
	// table (iBFT) besides.
	Firmware  bool
	Initiator string // rd.iscsi.initiator=, empty: see iscsi.NameSource
	Init      string // init=, empty: the first of InitCandidates
	Chain     Chain  // nodisk.chain=: the root is the init's business then

	Network netsetup.Config
	// NeedNetwork: the root is behind the network, or rd.neednet=1.
	NeedNetwork bool

	Modules ModulePlan
	Policy  Policy
	// Breaks are the stages before which a shell opens (rd.break=).
	Breaks []string
	Log    slog.Level

	// Warnings are for the console, once, when the boot begins. Notes are what is as
	// it should be: other names of keys, and keys that are not needed.
	Warnings, Notes []string
}

// New decides what the command line and the image's config file mean. It
// is pure. All errors are returned joined, most as *cmdline.ValueError; the
// Policy of the plan is good in any case, so that the error can be acted on.
func New(line, config cmdline.Args) (Plan, error) {
	table := keyTable(Keys())
	line, lineNotes := table.translate(line)
	config, configNotes := table.translate(config)
	args := cmdline.Merge(config, line)
	var (
		p    Plan
		errs []error
		more []error
		err  error
	)
	chain, chainErr := parseChain(args)
	args = chain.ours(args)
	p.Chain = chain
	p.Policy, errs = newPolicy(args)
	if chainErr != nil {
		errs = append(errs, chainErr)
	}
	p.Breaks, more = parseBreaks(args)
	errs = append(errs, more...)
	if p.Log, err = parseLevel(args); err != nil {
		errs = append(errs, err)
	}
	if p.Modules, more = NewModulePlan(line, config); more != nil {
		errs = append(errs, more...)
	}
	if chain.Path != "" {
		p.Modules.forVendor()
	}
	named, err := rootfs.NamedDisks(args)
	if err != nil {
		errs = append(errs, err)
	}
	root, rootErr := rootfs.ParseRoot(args, named...)
	p.Root, p.Firmware = root, root.Firmware
	if rootErr != nil {
		errs = append(errs, rootErr)
	}
	args = append(args, firmwareAddress(args)...)
	if chain.Drivers {
		p.Network.Off = true
	} else if p.Network, err = netsetup.ParseConfig(args); err != nil {
		errs = append(errs, err)
	}
	p.Warnings, p.Notes = table.judge(args)
	if chain.Path == "" {
		p.Notes = slices.Concat(configNotes, lineNotes, p.Notes)
	}
	for _, lun := range p.Root.Besides {
		p.Notes = append(
			p.Notes,
			fmt.Sprintf("netroot: LUN %v is attached besides: the root is on the one that root= names", lun),
		)
	}
	p.Warnings = append(p.Warnings, p.Modules.Warnings...)
	p.Warnings = append(p.Warnings, p.Network.Warnings()...)
	for _, key := range []string{"rd.iscsi.firmware", "rd.iscsi.ibft"} {
		if on, err := args.Bool(key, false); on && err == nil && rootErr == nil && !p.Firmware {
			p.Warnings = append(p.Warnings, key+": without effect, the root is not on a disk")
		}
	}
	p.Targets, more = p.Root.Targets()
	errs = append(errs, more...)
	for _, t := range p.Targets {
		p.Warnings = append(p.Warnings, t.Warnings...)
	}
	// A loader's script leaves the value empty when it knows none.
	if name, _ := args.Last("rd.iscsi.initiator"); name != "" {
		p.Initiator = name
		const key, fix = "rd.iscsi.initiator", "write iqn.YYYY-MM.DOMAIN:NAME"
		switch err := iscsi.ValidateName(name); {
		case errors.Is(err, iscsi.ErrNameKind):
			p.Warnings = append(
				p.Warnings,
				fmt.Sprintf(
					"%s=%s: %v; it is sent as it is, and a target that looks at it refuses it: %s",
					key,
					name,
					err,
					fix,
				),
			)
		case err != nil:
			errs = append(errs, &cmdline.ValueError{Key: key, Value: name, Problem: err.Error(), Fix: fix})
		}
	}
	errs = append(errs, table.refused(args)...)
	if name, ok := args.Last("init"); ok {
		p.Init = name
		if !strings.HasPrefix(name, "/") {
			errs = append(
				errs,
				&cmdline.ValueError{
					Key:     "init",
					Value:   name,
					Problem: "is not a path from the root",
					Fix:     "write init=/sbin/init",
				},
			)
		}
	}
	p.NeedNetwork = p.Root.NeedsNetwork() || p.Network.NeedNet || chain.Path != "" && !p.Network.Off
	if len(errs) == 0 {
		errs = append(errs, p.unreachable()...)
		errs = append(errs, p.ownServer()...)
	}
	if len(errs) == 0 && chain.Path == "" {
		p.Warnings = append(p.Warnings, p.astray()...)
	}
	if rootErr == nil && chain.Path == "" {
		p.Warnings = append(p.Warnings, p.besides(args)...)
	}
	if key := p.idle(args); key != "" {
		p.Warnings = append(p.Warnings, key+": without effect: "+onItsOwnDisks(p.Root)+
			"; name what is behind the network (netroot=iscsi:... or netroot=dhcp), or write rd.neednet=1")
	}
	return p, errors.Join(errs...)
}

// besides warns about arguments for a root of another kind than the one there is.
func (p Plan) besides(args cmdline.Args) []string {
	var warnings []string
	root, given := args.Last("root")
	kernels := !given || root == "/dev/nfs" || root == "/dev/nfs4"
	if args.Has("nfsroot") && (!kernels || p.Root.Kind != rootfs.KindNFS) {
		warnings = append(
			warnings,
			"nfsroot: without effect: the root is another ("+p.Root.String()+"); write root=/dev/nfs if it is to "+
				"be that export",
		)
	}
	if p.Root.Kind == rootfs.KindRAM && args.Has("ip") && !p.NeedNetwork && !p.Network.Off {
		warnings = append(
			warnings,
			"ip: without effect: "+p.Root.String()+", and needs no network; write rd.neednet=1 if there is to be one",
		)
	}
	return warnings
}

// ownServer refuses a server of the root that has the node's own address.
func (p Plan) ownServer() []error {
	servers := map[string]bool{p.Root.NFS.Server: p.Root.Kind == rootfs.KindNFS}
	for _, t := range p.Targets {
		servers[t.Portal.Host] = true
	}
	var errs []error
	for _, n := range p.Network.Interfaces {
		for _, own := range append([]netip.Prefix{n.Address}, n.More...) {
			if own.IsValid() && servers[own.Addr().String()] {
				errs = append(errs, &cmdline.ValueError{
					Key:     "ip",
					Value:   n.String(),
					Problem: "gives the node the address of the root's server, " + own.Addr().String(),
					Fix:     "write one that no other machine has",
				})
			}
		}
	}
	return errs
}

// firmwareAddress is ip=ibft where the command line leaves the address to the firmware's table
// and has no ip= of its own: that is what dracut's rd.iscsi.ibft means, and a root from there is
// reached by the address from there. An error in an argument is reported by whoever reads it.
func firmwareAddress(args cmdline.Args) cmdline.Args {
	on, err := args.Bool("rd.iscsi.ibft", false)
	root, _ := args.Last("root")
	if args.Has("ip") || err != nil || !on && root != "ibft" && !rootfs.NamesFirmware(args) {
		return nil
	}
	return cmdline.Args{{Key: "ip", Value: "ibft", HasValue: true}}
}

// Attaches reports whether there is a target before DHCP is asked.
func (p Plan) Attaches() bool { return len(p.Targets) > 0 || p.Firmware }

func parseLevel(args cmdline.Args) (slog.Level, error) {
	switch word, ok := args.Last("nodisk.log"); {
	case !ok || word == "info":
		return slog.LevelInfo, nil
	case word == "debug":
		return slog.LevelDebug, nil
	case word == "warn":
		return slog.LevelWarn, nil
	default:
		return slog.LevelInfo, &cmdline.ValueError{
			Key:     "nodisk.log",
			Value:   word,
			Problem: "is not a level",
			Fix:     "write debug, info or warn",
		}
	}
}

// String is the plan in a few lines, as `nodisk inspect` prints it.
func (p Plan) String() string {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-11s%s\n", name, fmt.Sprintf(format, args...))
	}
	if p.Chain.Path != "" {
		row("chain", "%v", p.Chain)
	} else {
		row("root", "%v", p.Root)
	}
	for _, t := range p.Targets {
		row("target", "%v", t)
	}
	if p.Firmware {
		row("target", "those of the firmware's iBFT")
	}
	if p.Initiator != "" {
		row("initiator", "%s", p.Initiator)
	}
	if p.Init != "" {
		row("init", "%s", p.Init)
	}
	switch {
	case !p.NeedNetwork:
		row("network", "not needed")
	default:
		for _, n := range p.Network.Interfaces {
			row("network", "ip=%s", p.Network.Word(n))
		}
		if p.Network.BootIF != "" {
			row("boot NIC", "%v", p.Network.BootIF)
		}
	}
	if len(p.Modules.Profiles) > 0 {
		row("profiles", "%s", strings.Join(p.Modules.Profiles, ", "))
	}
	for _, m := range []struct {
		name  string
		words []string
	}{
		{"first", p.Modules.First},
		{"pre", p.Modules.Pre},
		{"drivers", requestNames(p.Modules.Drivers)},
		{"post", p.Modules.Post},
		{"links", requestNames(p.Modules.Links)},
	} {
		if len(m.words) > 0 {
			row("modules", "%s: %s", m.name, strings.Join(m.words, ", "))
		}
	}
	if len(p.Modules.Ports) > 0 {
		row("port types", "%s", portWords(p.Modules.Ports))
	}
	if p.Policy.Deadline > 0 {
		row("on fail", "%v after %v", p.Policy.OnFail, p.Policy.Deadline)
	} else {
		row("on fail", "%v", p.Policy.OnFail)
	}
	if p.Breaks != nil {
		row("shell", "before %s", strings.Join(p.Breaks, ", "))
	}
	for _, w := range p.Warnings {
		row("warning", "%s", w)
	}
	return b.String()
}
