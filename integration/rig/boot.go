package rig

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/integration/lab"
)

// A Boot says how a node on a rig is booted. Its [lab.BootSpec] has the meaning
// that it has for [lab.Lab.Boot], with these differences.
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
type Boot struct {
	lab.BootSpec
	// At are the NICs at which the cables are; nil means the first.
	At []int
	// Wire are the server's shell commands that make the far ends of the
	// cables c0, c1, ... into what the node is to find. See the script network for what there is
	// besides ip(8) and tc(8). Placeholders are filled in.
	Wire []string
	// Out are the cables that are out when the node is switched on, and Absent
	// the NICs that the machine does not have then.
	Out, Absent []int
	// Script is what happens while the node runs, one after the other.
	Script []lab.Act
}

func (b Boot) at() []int {
	if b.At == nil {
		return []int{0}
	}
	return b.At
}

// A Result is what came of a boot on a rig.
type Result struct {
	lab.BootResult
	// Server is every DHCP line dnsmasq logged, across restarts.
	Server []string
}

// Count is the number of dnsmasq's lines that hold the word, such as
// "DHCPDISCOVER(".
func (r Result) Count(word string) int {
	n := 0
	for _, l := range r.Server {
		if strings.Contains(l, word) {
			n++
		}
	}
	return n
}

// check finds contradictions before anything is started.
func (b Boot) check() error {
	errs := []error{b.CheckStart()}
	if b.PXE || b.DHCPAfter > 0 || b.RootPath != "" || b.Root == lab.RootRAM {
		errs = append(errs, fmt.Errorf("boot %s: a rig has neither PXE, nor a DHCP server of its own, nor a "+
			"root in memory", b.Name))
	}
	return errors.Join(errs...)
}

// A rigNode is a node's place on the rig.
type node struct {
	rig    *Rig
	spec   Boot
	number int
	taken  []int
	cables map[int]int // the number of a NIC's cable on the rig
	nics   []lab.NIC
	values map[string]string
	qemu   *lab.Monitor
}

// Boot boots a node on the rig, as [lab.Lab.Boot] does elsewhere. It waits for free
// cables. An error may come with a result: when the script could not be
// followed to its end.
func (r *Rig) Boot(ctx context.Context, b Boot) (res Result, err error) {
	b.BootSpec = b.WithDefaults()
	defer func() {
		if err != nil {
			err = fmt.Errorf("boot %s: %w", b.Name, err)
		}
	}()
	b.NICs = max(b.NICs, slices.Max(b.at())+1)
	if err := b.check(); err != nil {
		return res, err
	}
	var undo lab.Undoer
	defer func() { err = errors.Join(err, undo.All()) }()
	p, err := r.place(ctx, b, &undo)
	if err != nil {
		return res, err
	}
	mark := r.server.Mark()
	for _, command := range b.Wire {
		if err := p.at(ctx, command); err != nil {
			return res, err
		}
	}
	m := lab.Machine{
		Spec:  b.BootSpec,
		NICs:  p.nics,
		Accel: r.accel,
		Monitor: r.lab.Path("node" + strconv.Itoa(p.number) +
			".monitor"),
	}
	m.Cmdline = strings.Join(
		strings.Fields(lab.ConsoleWords+lab.Fill(b.Words()+" "+b.Append, p.values)+" "+lab.LinksWord),
		" ",
	)
	drop, err := m.Firmware(r.lab.Path("node"+strconv.Itoa(p.number)+".ibft"), p.values)
	if err != nil {
		return res, err
	}
	undo.Add(drop)
	limited, cancel := context.WithTimeoutCause(ctx, b.Timeout, fmt.Errorf("the node had %v", b.Timeout))
	defer cancel()
	v, err := p.switchOn(limited, m, &undo)
	if err != nil {
		return res, err
	}
	res.BootResult, err = v.Follow(limited)
	var serr error
	res.Server, serr = r.server.Since(mark, fmt.Sprintf(`^server: dnsmasq%d: `, p.number))
	return res, errors.Join(err, serr, context.Cause(ctx))
}

// place takes cables and starts what serves the node's root.
func (r *Rig) place(ctx context.Context, b Boot, undo *lab.Undoer) (*node, error) {
	p := &node{rig: r, spec: b, number: r.number(), cables: map[int]int{}}
	var err error
	if p.taken, err = r.take(ctx, len(b.at())); err != nil {
		return nil, err
	}
	undo.Add(func() error { r.give(p.taken); return nil })
	words := []string{strconv.Itoa(p.number)}
	for i, at := range b.at() {
		p.cables[at] = p.taken[i]
		words = append(words, strconv.Itoa(p.taken[i]))
	}
	list := strings.Join(words, " ")
	p.values = map[string]string{
		"server":  "10.77.0.1",
		"gateway": "10.77.0.1",
		"client":  "10.77.0.23",
		"mask":    "255.255.255.0",
		"server6": "2001:db8:77::1",
		"client6": "2001:db8:77::23",
		"tid": strconv.Itoa(
			p.number,
		),
		"name":   b.Name,
		"label":  lab.RootLabel,
		"uuid":   lab.RootUUID,
		"export": "/nfsroot",
		"target": fmt.Sprintf("iqn.2025-01.test.nodisk.rig:%s-%d", b.Name, p.number),
	}
	for i := range b.NICs {
		// Behind this socket there is nobody.
		n := lab.NIC{Near: r.lab.Path(fmt.Sprintf("node%d.%d", p.number, i)), MAC: fmt.Sprintf("52:54:00:77:%02x:%02x",
			p.number, i+1)}
		n.Far = n.Near + ".nobody"
		if cable, ok := p.cables[i]; ok {
			n.Near, n.Far = r.ends(cable)
		}
		p.nics = append(p.nics, n)
		p.values["mac"+strconv.Itoa(i)] = n.MAC
		p.values["dash"+strconv.Itoa(i)] = strings.ReplaceAll(n.MAC, ":", "-")
	}
	p.values["mac"] = p.nics[0].MAC
	p.values["slaac6"] = fmt.Sprintf("2001:db8:77:0:5054:ff:fe77:%x", p.number<<8|1)
	for _, i := range b.Absent {
		p.nics[i].Absent = true
	}
	if _, err := r.server.Run(ctx, "place "+list); err != nil {
		return nil, err
	}
	undo.Add(func() error {
		errs := []error{}
		for _, cable := range p.taken {
			errs = append(errs, r.server.QEMU.Plug(cable, false))
		}
		_, err := r.server.Run(context.WithoutCancel(ctx), "leave "+list)
		return errors.Join(append(errs, err)...)
	})
	switch b.Root {
	case lab.RootISCSI:
		err = errors.Join(p.at(ctx, "start_tgtd"), p.at(ctx, "start_target "+strconv.Itoa(p.number)+" {target}"))
	case lab.RootNFS3, lab.RootNFS4:
		err = p.at(ctx, "start_nfs")
	default:
	}
	return p, err
}

// at runs a command in the node's namespace on the server.
func (p *node) at(ctx context.Context, command string) error {
	command = strings.ReplaceAll(lab.Fill(command, p.values), "'", `'\''`)
	_, err := p.rig.server.Run(ctx, fmt.Sprintf("at %d '%s'", p.number, command))
	return err
}

// switchOn starts the node with its cables as they are to be.
func (p *node) switchOn(ctx context.Context, m lab.Machine, undo *lab.Undoer) (*lab.Node, error) {
	var err error
	if p.qemu, err = lab.ListenMonitor(ctx, m.Monitor); err != nil {
		return nil, err
	}
	undo.Add(p.qemu.Close)
	v, err := p.rig.lab.Power(ctx, m)
	if err != nil {
		return nil, err
	}
	undo.Add(func() error { v.Off(); return nil })
	if v.Until, err = p.spec.UntilLine(); err != nil {
		return nil, err
	}
	if len(p.spec.Script) > 0 {
		v.Script = func(ctx context.Context) error { return lab.Play(ctx, v, p.spec.Script, p.act) }
	}
	if err := p.qemu.Accept(ctx); err != nil {
		return nil, err
	}
	for i := range p.nics {
		if slices.Contains(p.spec.Out, i) {
			err = p.qemu.Plug(i, false)
		} else if cable, ok := p.cables[i]; ok {
			err = p.rig.server.QEMU.Plug(cable, true)
		}
		if err != nil {
			return nil, err
		}
	}
	return v, p.qemu.Run()
}

func (p *node) act(ctx context.Context, a lab.Act) error {
	if err := a.Cables(p.plug); err != nil {
		return err
	}
	for _, i := range a.Insert {
		if err := p.qemu.Insert(i, p.spec.NIC, p.nics[i].MAC); err != nil {
			return err
		}
	}
	if a.Server != "" {
		return p.at(ctx, a.Server)
	}
	return nil
}

// plug connects or disconnects both ends of a cable.
func (p *node) plug(i int, up bool) error {
	cable, ok := p.cables[i]
	if !ok {
		return fmt.Errorf("NIC %d has no cable", i)
	}
	return errors.Join(p.qemu.Plug(i, up), p.rig.server.QEMU.Plug(cable, up))
}
