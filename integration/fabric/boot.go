package fabric

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/integration/lab"
)

// A Boot says how a node on a fabric is booted. Its [lab.BootSpec] has the
// meaning that it has for [lab.Lab.Boot], with these differences.
//
//   - Cmdline is for ib0: what Root and Static stand for names that device, or
//     the child interface of Partition.
//   - {guid} is the port GUID as 02:50:49:..., {guid64} as 0x025049..., as
//     {serverguid64} is the server's, {guidmac} its 6-byte form
//     (without bytes 4 and 5), {iaid} its last 4 bytes; {cable} is the MAC
//     address of the NIC that carries the fabric.
//   - The software HCA is loaded after the other drivers; the image must hold
//     it (nodisk build --module-dir).
//   - PXE boots from a NIC on an ordinary network of its own; the cable is the
//     second one.
//   - NICs and DHCPAfter are not used.
type Boot struct {
	lab.BootSpec

	// Reserve is how dnsmasq knows the node: the first field of dhcp-host, such
	// as "id:20:{guid}". It is given {client}, {name} and the root-path; without
	// a reservation nobody gets an answer. In the partition [Spec.Relayed] it is
	// how dhcpd knows it: "hardware infiniband {guid}".
	Reserve string
	// Options are further DHCP options for the node, as dnsmasq's dhcp-option has them
	// after the tag: "58,00:00:00:05".
	Options []string
	// RDMA gives the node's HCA reliable connections, and the server's nfsd serves
	// RDMA besides TCP.
	RDMA bool
	// Partition is 0, or selects one of the fabric's PKeys (1, 2, ...): the
	// node's address is there, and its HCA has the P_Key.
	Partition int
	// Keyless keeps the P_Key from the HCA.
	Keyless bool
	// Unplugged is a node whose cable is out until an act of Script plugs it.
	Unplugged bool
	// DeadPort gives the node one more port, its first, whose cable is never
	// plugged: ib0 has no link. {guid} is still that of the other, ib1, and
	// {deadguid} this one's.
	DeadPort bool
	// TwoPorts gives the node two ports, each with a cable of its own, and {cable}
	// names both. They are on two adapters, or on one with "ports=2" in HCA.
	TwoPorts bool
	// HCA are parameters of the node's softib: "maxmtu=4096".
	HCA []string
	// Script is what happens while the node runs, one after the other.
	Script []lab.Act
}

// device is the interface that the node boots by.
func (f *Fabric) device(b Boot) string {
	if b.Partition == 0 {
		return "ib0"
	}
	return fmt.Sprintf("ib0.%04x", f.spec.PKeys[b.Partition-1])
}

// words are the node's command line with placeholders.
func (f *Fabric) words(b Boot) string {
	hca := []string{"rd.driver.post=softib", "softib.netdev={cable}"}
	if b.DeadPort {
		hca[1] = "softib.netdev={dead},{cable}"
	}
	for _, p := range f.softib() {
		hca = append(hca, "softib."+p)
	}
	if b.RDMA {
		hca = append(hca, "softib.rc=1")
	}
	if b.Partition > 0 && !b.Keyless {
		hca = append(hca, fmt.Sprintf("softib.pkeys=0x%04x", f.spec.PKeys[b.Partition-1]))
	}
	for _, p := range b.HCA {
		hca = append(hca, "softib."+p)
	}
	words := b.Cmdline
	if words == "" {
		words = "ip=" + f.device(b) + ":dhcp"
		if b.Static {
			words = "ip={client}:{server}:{gateway}:{mask}:{name}:" + f.device(b) + ":none"
		}
		words = b.RootWords(words)
		if b.Partition > 0 {
			words = "ib.pkey=" + f.device(b) + " " + words
		}
	}
	return strings.Join(hca, " ") + " " + words + " " + b.Append
}

// check finds contradictions before anything is started.
func (f *Fabric) check(b Boot) error {
	errs := append(lab.Missing(b.tools()), b.CheckStart())
	if b.RDMA && !f.spec.RDMA {
		errs = append(errs, fmt.Errorf("boot %s: the fabric's server has no RDMA", b.Name))
	}
	if b.Partition < 0 || b.Partition > len(f.spec.PKeys) {
		errs = append(errs, fmt.Errorf("boot %s: the fabric has %d partitions, not %d",
			b.Name, len(f.spec.PKeys), b.Partition))
	}
	if b.Partition > 0 && b.Partition == f.spec.Relayed && len(b.Options) > 0 {
		errs = append(errs, fmt.Errorf("boot %s: Options are dnsmasq's, and partition %d has dhcpd",
			b.Name, b.Partition))
	}
	if len(b.Script) > 0 && (b.DeadPort || b.PXE) {
		errs = append(errs, fmt.Errorf("boot %s: a script goes with neither a dead port nor PXE", b.Name))
	}
	if b.Unplugged && len(b.Script) == 0 {
		errs = append(errs, fmt.Errorf("boot %s: nobody plugs the cable that is out: name it in a script", b.Name))
	}
	if b.TwoPorts && (b.DeadPort || b.Unplugged || b.PXE) {
		errs = append(errs, fmt.Errorf("boot %s: two ports go with neither a dead one nor a cable that is out nor PXE",
			b.Name))
	}
	if b.DeadPort && (b.PXE || f.spec.SubnetManager) {
		errs = append(errs, fmt.Errorf("boot %s: a dead port goes with neither PXE nor a subnet manager", b.Name))
	}
	return errors.Join(errs...)
}

// tools is the specification with what the node itself needs of this machine:
// the servers run elsewhere.
func (b Boot) tools() lab.BootSpec {
	s := b.BootSpec
	s.Root, s.Static = lab.RootNone, !s.PXE
	return s
}

// Boot boots a node on the fabric, as [lab.Lab.Boot] does elsewhere.
func (f *Fabric) Boot(ctx context.Context, b Boot) (res Result, err error) {
	b.BootSpec = b.WithDefaults()
	defer func() {
		if err != nil {
			err = fmt.Errorf("boot %s: %w", b.Name, err)
		}
	}()
	if err := f.check(b); err != nil {
		return res, err
	}
	until, err := b.UntilLine()
	if err != nil {
		return res, err
	}
	var undo lab.Undoer
	defer func() { err = errors.Join(err, undo.All()) }()
	p, err := f.plugIn(ctx, b, &undo)
	if err != nil {
		return res, err
	}
	res.Address, res.GUID = p.values["client"], p.values["guid"]
	m := lab.Machine{Spec: b.BootSpec, NICs: p.nics, Accel: f.accel, Monitor: p.monitor}
	m.Cmdline = strings.Join(strings.Fields(lab.ConsoleWords+lab.Fill(f.words(b), p.values)), " ")
	if b.PXE {
		if err := p.firmware(b.BootSpec, m.Cmdline, &undo); err != nil {
			return res, err
		}
	}
	mark := f.server.Mark()

	limited, cancel := context.WithTimeoutCause(ctx, b.Timeout, fmt.Errorf("the node had %v", b.Timeout))
	defer cancel()
	v, err := f.switchOn(limited, m, b, p, &undo)
	if err != nil {
		return res, err
	}
	v.Until = until
	res.BootResult, err = v.Follow(limited)
	if err == nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return res, err
	}
	res.Server, err = f.transactions(mark, res.GUID, p.values["guidmac"])
	return res, err
}

// A fabricPort is a node's place: its NICs, and what the server keeps for it.
type place struct {
	number  int
	nics    []lab.NIC
	values  map[string]string
	net     *lab.Network // for the firmware, nil without
	monitor string
}

// plugIn makes the node's NICs, root and reservation.
func (f *Fabric) plugIn(ctx context.Context, b Boot, undo *lab.Undoer) (*place, error) {
	number, err := f.port()
	if err != nil {
		return nil, err
	}
	undo.Add(f.leave)
	cable, err := f.cable(ctx, number)
	if err != nil {
		return nil, err
	}
	p := &place{number: number, nics: []lab.NIC{cable}}
	if b.PXE {
		if p.net, err = f.lab.NewNetwork(ctx, 1); err != nil {
			return nil, err
		}
		undo.Add(p.net.Close)
		p.nics = append(p.net.NICs(true), cable)
	}
	if b.DeadPort || len(b.Script) > 0 {
		p.monitor = f.lab.Path(cable.Tap + ".monitor")
	}
	guid := f.guid(number)
	p.values = map[string]string{
		"server": f.address(b.Partition, 1).String(), "gateway": f.address(b.Partition, 1).String(),
		"client": f.address(b.Partition, number).String(), "mask": "255.255.255.0",
		"name": b.Name, "label": lab.RootLabel, "uuid": lab.RootUUID,
		"mac": cable.MAC, "cable": cable.MAC, "guid": guid, "guid64": guid64(guid), "serverguid64": guid64(f.guid(1)),
		"guidmac": guid[:8] + guid[14:], "iaid": guid[12:],
		"target": fmt.Sprintf("iqn.2025-01.test.nodisk.fabric:%s-%d", b.Name, number), "export": "/nfsroot",
	}
	if b.DeadPort || b.TwoPorts {
		number, err := f.port()
		if err != nil {
			return nil, err
		}
		undo.Add(f.leave)
		other, err := f.cable(ctx, number)
		if err != nil {
			return nil, err
		}
		if b.DeadPort {
			p.nics = []lab.NIC{other, cable}
			p.values["dead"], p.values["deadguid"] = other.MAC, f.guid(number)
		} else {
			p.nics = []lab.NIC{cable, other}
			p.values["cable"] += "," + other.MAC
		}
	}
	if err := f.root(ctx, b, p, undo); err != nil {
		return nil, err
	}
	if b.reservesLate() {
		return p, f.dhcp(ctx)
	}
	return p, f.reserve(ctx, b, p)
}

// guid64 is a GUID as one number.
func guid64(guid string) string { return "0x" + strings.ReplaceAll(guid, ":", "") }

// root makes the server offer the node's root.
func (f *Fabric) root(ctx context.Context, b Boot, p *place, undo *lab.Undoer) error {
	switch b.Root {
	case lab.RootISCSI:
		if err := f.service(ctx, "tgtd", ""); err != nil {
			return err
		}
		tid := strconv.Itoa(p.number)
		if _, err := f.server.Run(ctx, "start_target "+tid+" "+p.values["target"]); err != nil {
			return err
		}
		undo.Add(func() error {
			_, err := f.server.Run(context.WithoutCancel(ctx), "stop_target "+tid)
			return err
		})
		return nil
	case lab.RootNFS3, lab.RootNFS4:
		if err := f.service(ctx, "nfs", ""); err != nil || !b.RDMA {
			return err
		}
		return f.service(ctx, "nfs_rdma", "")
	default:
		return nil
	}
}

// firmware serves what the node's PXE ROM asks for, on the ordinary network.
func (p *place) firmware(s lab.BootSpec, cmdline string, undo *lab.Undoer) error {
	tftp, err := p.net.TFTP(s, cmdline, nil)
	if err != nil {
		return err
	}
	undo.Add(func() error { return os.RemoveAll(tftp) })
	d, err := p.net.DHCP(s.Name, "", tftp)
	if err != nil {
		return err
	}
	undo.Add(func() error { d.Stop(); return nil })
	return nil
}

// switchOn starts the node and arranges what happens to it later.
func (f *Fabric) switchOn(ctx context.Context, m lab.Machine, b Boot, p *place, undo *lab.Undoer) (*lab.Node, error) {
	var qemu *lab.Monitor
	if m.Monitor != "" {
		var err error
		if qemu, err = lab.ListenMonitor(ctx, m.Monitor); err != nil {
			return nil, err
		}
		undo.Add(qemu.Close)
	}
	v, err := f.lab.Power(ctx, m)
	if err != nil {
		return nil, err
	}
	undo.Add(func() error { v.Off(); return nil })
	if qemu == nil {
		return v, nil
	}
	out := -1 // the NIC whose cable is
	if b.Unplugged {
		out = len(m.NICs) - 1
	}
	if b.DeadPort {
		out = 0
	}
	if len(b.Script) > 0 {
		n := &node{fabric: f, boot: b, port: p, node: v, qemu: qemu}
		v.Script = func(ctx context.Context) error { return lab.Play(ctx, v, b.Script, n.act) }
	}
	if err := qemu.Accept(ctx); err != nil {
		return nil, err
	}
	if out >= 0 {
		if err := qemu.Plug(out, false); err != nil {
			return nil, err
		}
	}
	return v, qemu.Run()
}
