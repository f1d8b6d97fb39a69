package integration

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A RigBoot says how a node on a rig is booted. Its [BootSpec] has the meaning
// that it has for [Lab.Boot], with these differences.
//
//   - NICs is the number of all of the node's NICs. Those without a cable have
//     a carrier, and nobody is there. On the board q35 they are at the slots 1,
//     2, ... of PCI: udev calls them enp0s1, enp0s2, ...
//   - {server6} and {client6} are IPv6 addresses, {slaac6} is the one that the
//     first NIC makes for itself; {mac0} {mac1} ... those of
//     the NICs, {dash0} {dash1} ... the same with dashes, {tid} is the number
//     of the node's target. {server} is the same for all nodes.
//   - There is no DHCP server but by Wire; RootPath, DHCPAfter and Static have
//     no effect but on the arguments that Root stands for. There is no PXE.
type RigBoot struct {
	BootSpec
	// At are the NICs at which the cables are; nil means the first.
	At []int
	// Wire are the server's shell commands that make the far ends of the
	// cables c0, c1, ... into what the node is to find. See server/rig for what there is
	// besides ip(8) and tc(8). Placeholders are filled in.
	Wire []string
	// Out are the cables that are out when the node is switched on, and Absent
	// the NICs that the machine does not have then.
	Out, Absent []int
	// Script is what happens while the node runs, one after the other.
	Script []Act
}

func (b RigBoot) at() []int {
	if b.At == nil {
		return []int{0}
	}
	return b.At
}

// A RigResult is what came of a boot on a rig.
type RigResult struct {
	BootResult
	// Server is every DHCP line dnsmasq logged, across restarts.
	Server []string
}

// Count is the number of dnsmasq's lines that hold the word, such as
// "DHCPDISCOVER(".
func (r RigResult) Count(word string) int {
	n := 0
	for _, l := range r.Server {
		if strings.Contains(l, word) {
			n++
		}
	}
	return n
}

// check finds contradictions before anything is started.
func (b RigBoot) check() error {
	errs := []error{b.BootSpec.check()}
	if b.PXE || b.DHCPAfter > 0 || b.RootPath != "" || b.Root == RootRAM {
		errs = append(errs, fmt.Errorf("boot %s: a rig has neither PXE, nor a DHCP server of its own, nor a root in memory", b.Name))
	}
	return errors.Join(errs...)
}

// A rigNode is a node's place on the rig.
type rigNode struct {
	rig    *Rig
	spec   RigBoot
	number int
	taken  []int
	cables map[int]int // the number of a NIC's cable on the rig
	nics   []nic
	values map[string]string
	qemu   *monitor
}

// Boot boots a node on the rig, as [Lab.Boot] does elsewhere. It waits for free
// cables. An error may come with a result: when the script could not be
// followed to its end.
func (r *Rig) Boot(ctx context.Context, b RigBoot) (res RigResult, err error) {
	b.BootSpec = b.withDefaults()
	defer func() {
		if err != nil {
			err = fmt.Errorf("boot %s: %w", b.Name, err)
		}
	}()
	b.NICs = max(b.NICs, slices.Max(b.at())+1)
	if err := b.check(); err != nil {
		return res, err
	}
	var undo undoer
	defer func() { err = errors.Join(err, undo.all()) }()
	p, err := r.place(ctx, b, &undo)
	if err != nil {
		return res, err
	}
	mark := r.server.mark()
	for _, command := range b.Wire {
		if err := p.at(ctx, command); err != nil {
			return res, err
		}
	}
	m := machine{spec: b.BootSpec, nics: p.nics, accel: r.accel, monitor: r.lab.path("node" + strconv.Itoa(p.number) +
		".monitor")}
	m.cmdline = strings.Join(strings.Fields(consoleWords+fill(b.Words()+" "+b.Append, p.values)+" "+LinksWord), " ")
	drop, err := m.firmware(r.lab.path("node"+strconv.Itoa(p.number)+".ibft"), p.values)
	if err != nil {
		return res, err
	}
	undo.add(drop)
	limited, cancel := context.WithTimeoutCause(ctx, b.Timeout, fmt.Errorf("the node had %v", b.Timeout))
	defer cancel()
	v, err := p.switchOn(limited, m, &undo)
	if err != nil {
		return res, err
	}
	res.BootResult, err = v.follow(limited)
	var serr error
	res.Server, serr = r.server.since(mark, fmt.Sprintf(`^server: dnsmasq%d: `, p.number))
	return res, errors.Join(err, serr, context.Cause(ctx))
}

// place takes cables and starts what serves the node's root.
func (r *Rig) place(ctx context.Context, b RigBoot, undo *undoer) (*rigNode, error) {
	p := &rigNode{rig: r, spec: b, number: r.number(), cables: map[int]int{}}
	var err error
	if p.taken, err = r.take(ctx, len(b.at())); err != nil {
		return nil, err
	}
	undo.add(func() error { r.give(p.taken); return nil })
	words := []string{strconv.Itoa(p.number)}
	for i, at := range b.at() {
		p.cables[at] = p.taken[i]
		words = append(words, strconv.Itoa(p.taken[i]))
	}
	list := strings.Join(words, " ")
	p.values = map[string]string{
		"server": "10.77.0.1", "gateway": "10.77.0.1", "client": "10.77.0.23", "mask": "255.255.255.0",
		"server6": "2001:db8:77::1", "client6": "2001:db8:77::23",
		"tid": strconv.Itoa(p.number), "name": b.Name, "label": RootLabel, "uuid": RootUUID, "export": "/nfsroot",
		"target": fmt.Sprintf("iqn.2025-01.test.nodisk.rig:%s-%d", b.Name, p.number),
	}
	for i := range b.NICs {
		// Behind this socket there is nobody.
		n := nic{near: r.lab.path(fmt.Sprintf("node%d.%d", p.number, i)), mac: fmt.Sprintf("52:54:00:77:%02x:%02x",
			p.number, i+1)}
		n.far = n.near + ".nobody"
		if cable, ok := p.cables[i]; ok {
			n.near, n.far = r.ends(cable)
		}
		p.nics = append(p.nics, n)
		p.values["mac"+strconv.Itoa(i)] = n.mac
		p.values["dash"+strconv.Itoa(i)] = strings.ReplaceAll(n.mac, ":", "-")
	}
	p.values["mac"] = p.nics[0].mac
	p.values["slaac6"] = fmt.Sprintf("2001:db8:77:0:5054:ff:fe77:%x", p.number<<8|1)
	for _, i := range b.Absent {
		p.nics[i].absent = true
	}
	if _, err := r.server.run(ctx, "place "+list); err != nil {
		return nil, err
	}
	undo.add(func() error {
		errs := []error{}
		for _, cable := range p.taken {
			errs = append(errs, r.server.qemu.plug(cable, false))
		}
		_, err := r.server.run(context.WithoutCancel(ctx), "leave "+list)
		return errors.Join(append(errs, err)...)
	})
	switch b.Root {
	case RootISCSI:
		err = errors.Join(p.at(ctx, "start_tgtd"), p.at(ctx, "start_target "+strconv.Itoa(p.number)+" {target}"))
	case RootNFS3, RootNFS4:
		err = p.at(ctx, "start_nfs")
	default:
	}
	return p, err
}

// at runs a command in the node's namespace on the server.
func (p *rigNode) at(ctx context.Context, command string) error {
	command = strings.ReplaceAll(fill(command, p.values), "'", `'\''`)
	_, err := p.rig.server.run(ctx, fmt.Sprintf("at %d '%s'", p.number, command))
	return err
}

// switchOn starts the node with its cables as they are to be.
func (p *rigNode) switchOn(ctx context.Context, m machine, undo *undoer) (*node, error) {
	var err error
	if p.qemu, err = listenMonitor(ctx, m.monitor); err != nil {
		return nil, err
	}
	undo.add(p.qemu.close)
	v, err := p.rig.lab.power(ctx, m)
	if err != nil {
		return nil, err
	}
	undo.add(func() error { v.off(); return nil })
	if v.until, err = p.spec.untilLine(); err != nil {
		return nil, err
	}
	if len(p.spec.Script) > 0 {
		v.script = func(ctx context.Context) error { return play(ctx, v, p.spec.Script, p.act) }
	}
	if err := p.qemu.accept(ctx); err != nil {
		return nil, err
	}
	for i := range p.nics {
		if slices.Contains(p.spec.Out, i) {
			err = p.qemu.plug(i, false)
		} else if cable, ok := p.cables[i]; ok {
			err = p.rig.server.qemu.plug(cable, true)
		}
		if err != nil {
			return nil, err
		}
	}
	return v, p.qemu.run()
}

func (p *rigNode) act(ctx context.Context, a Act) error {
	if err := a.cables(p.plug); err != nil {
		return err
	}
	for _, i := range a.Insert {
		if err := p.qemu.insert(i, p.spec.NIC, p.nics[i].mac); err != nil {
			return err
		}
	}
	if a.Server != "" {
		return p.at(ctx, a.Server)
	}
	return nil
}

// plug connects or disconnects both ends of a cable.
func (p *rigNode) plug(i int, up bool) error {
	cable, ok := p.cables[i]
	if !ok {
		return fmt.Errorf("NIC %d has no cable", i)
	}
	return errors.Join(p.qemu.plug(i, up), p.rig.server.qemu.plug(cable, up))
}
