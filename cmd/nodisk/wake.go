package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/build/pxe"
	"github.com/nodisk/nodisk/build/wol"
)

// wakeCmd is "nodisk wake".
type wakeCmd struct {
	Targets   []string `arg:"" optional:"" name:"node" help:"Names of nodes in --nodes, or MACs."`
	Nodes     string   `help:"Description of the nodes (docs/pxe.md), or - for standard input." placeholder:"FILE"`
	All       bool     `help:"All nodes, but those that say wake: false."`
	Group     []string `help:"The nodes of these groups." placeholder:"NAME"`
	Via       string   `help:"How packets are sent: ethernet (needs --interface and root; the default with it), or udp, which anybody may." enum:"ethernet,udp," default:""`
	Interface string   `help:"Interface of this machine that leads to the nodes." placeholder:"eth1"`
	To        string   `help:"Where datagrams go: a broadcast address, port 9 unless said. Without it that of each node's subnet, or 255.255.255.255." placeholder:"10.0.0.255[:9]"`
	Password  string   `help:"SecureOn password of machines given by MAC: 192.168.1.1 or 00:11:22:33:44:55." placeholder:"BYTES"`
	Interval  duration `help:"Between one batch and the next." default:"2s"`
	Batch     int      `help:"How many at a time." default:"1"`
	Repeat    int      `help:"Packets to each: one may get lost." default:"3"`
	From      string   `help:"Leave out what comes before this node." placeholder:"NODE"`
	DryRun    bool     `help:"Print who would be woken, in order; send nothing."`
}

// Help is shown by "nodisk wake --help".
func (*wakeCmd) Help() string {
	return `Examples:

  nodisk wake --nodes nodes.yaml --all --interface eth1 --interval 2s    # in order, two seconds apart
  nodisk wake --nodes nodes.yaml --group compute --via udp --batch 8
  nodisk wake --interface eth1 52:54:00:12:34:57                         # as etherwake does`
}

// Run wakes them.
func (w *wakeCmd) Run(ctx context.Context, c console) error {
	targets, notes, err := w.targets(ctx)
	for _, n := range notes {
		if _, err := fmt.Fprintf(c.err, "nodisk: warning: %s\n", n); err != nil {
			return err
		}
	}
	if err != nil {
		return err
	}
	if w.DryRun {
		return w.rehearse(c, targets)
	}
	sender, way, err := w.sender()
	if err != nil {
		return err
	}
	count := 0
	var lost error
	told := func(woken []wol.Target) {
		for _, t := range woken {
			count++
			_, err := fmt.Fprintf(c.out, "woken %d/%d  %s  %s\n", count, len(targets), w.line(t), way)
			lost = cmp.Or(lost, err)
		}
	}
	pace := wol.Pace{Interval: time.Duration(w.Interval), Batch: w.Batch, Repeat: w.Repeat}
	woken, err := wol.Wake(ctx, targets, pace, sender.Send, told)
	err = errors.Join(err, sender.Close())
	switch {
	case err != nil && woken < len(targets):
		return fmt.Errorf("wake: %w: %d of %d were woken; to go on: %s", err, woken, len(targets),
			w.again(targets[woken].Name))
	case err != nil:
		return fmt.Errorf("wake: %w", err)
	}
	return lost
}

// check refuses flags that contradict each other or cannot be meant.
func (w *wakeCmd) check() error {
	bad := func(format string, args ...any) error { return &usageError{fmt.Errorf("wake: "+format, args...)} }
	switch {
	case len(w.Targets) == 0 && !w.All && len(w.Group) == 0:
		return bad("nobody to wake: give names of nodes or MACs, --group NAME, or --all")
	case w.Nodes == "" && (w.All || len(w.Group) > 0):
		return bad("--all and --group are of nodes: give their description, --nodes nodes.yaml")
	case w.All && len(w.Targets)+len(w.Group) > 0:
		return bad("--all is every node: leave out the names and groups, or --all")
	case w.Via == "ethernet" && w.Interface == "":
		return bad("--via ethernet needs --interface: the one that leads to the nodes")
	case w.To != "" && w.ethernet():
		return bad("--to is for datagrams: give --via udp, or leave it out")
	case w.Via == "udp" && w.Interface != "":
		return bad("--interface is for frames: with --via udp say --to and the broadcast address of its network")
	case w.Interval < 0 || w.Interval > duration(24*time.Hour):
		return bad("--interval %v is not a time from 0s to 24h", w.Interval)
	case w.Batch < 1:
		return bad("--batch %d: write how many at a time, 1 at least", w.Batch)
	case w.Repeat < 1 || w.Repeat > 100:
		return bad("--repeat %d: write how many packets to each, 1 to 100", w.Repeat)
	}
	return nil
}

func (w *wakeCmd) ethernet() bool { return w.Via == "ethernet" || w.Via == "" && w.Interface != "" }

// targets are the machines to wake, in order, and why others are left out, which is known also where none is left.
func (w *wakeCmd) targets(ctx context.Context) (list []wol.Target, notes []string, err error) {
	if err := w.check(); err != nil {
		return nil, nil, err
	}
	to, err := w.to()
	if err != nil {
		return nil, nil, err
	}
	var nodes pxe.Nodes
	if w.Nodes != "" {
		if nodes, _, err = readNodes(ctx, w.Nodes); err != nil {
			return nil, nil, err
		}
	}
	names, direct, err := w.split(nodes)
	if err != nil {
		return nil, nil, err
	}
	if w.All || len(names)+len(w.Group) > 0 {
		sleepers, told, err := nodes.Sleepers(names, w.Group)
		if err != nil {
			return nil, nil, fmt.Errorf("wake: %w", err)
		}
		notes = told
		for _, s := range sleepers {
			t := wol.Target{Name: s.Name, MAC: s.MAC, Password: s.Password, To: to}
			if !to.IsValid() && s.Broadcast.IsValid() {
				t.To = netip.AddrPortFrom(s.Broadcast, wol.Port)
			}
			list = append(list, t)
		}
	}
	for _, t := range direct {
		t.To = to
		list = append(list, t)
	}
	for i := range list {
		if !list[i].To.IsValid() {
			list[i].To = netip.AddrPortFrom(netip.AddrFrom4([4]byte{255, 255, 255, 255}), wol.Port)
		}
	}
	if w.From != "" {
		at := slices.IndexFunc(list, func(t wol.Target) bool { return strings.EqualFold(t.Name, w.From) })
		if at < 0 {
			return nil, nil, fmt.Errorf("wake: --from %q is not one of those to wake", w.From)
		}
		list = list[at:]
	}
	if len(list) == 0 {
		return nil, notes, errors.New("wake: nobody to wake: no node is left of those that were asked for")
	}
	return list, notes, nil
}

// split tells names of nodes from MACs: what is a name of the description is
// one, whatever it looks like.
func (w *wakeCmd) split(nodes pxe.Nodes) (names []string, direct []wol.Target, err error) {
	var password []byte
	if w.Password != "" {
		if password, err = pxe.ParsePassword(w.Password); err != nil {
			return nil, nil, &usageError{fmt.Errorf("wake: --password %w", err)}
		}
	}
	known := map[string]bool{}
	for _, d := range nodes.Nodes {
		known[d.Name] = true
	}
	for _, t := range w.Targets {
		mac, err := pxe.ParseMAC(t)
		switch {
		case known[strings.ToLower(t)] || err != nil && w.Nodes != "":
			names = append(names, t)
		case err != nil:
			return nil, nil, &usageError{fmt.Errorf("wake: %q %w; for names of nodes give --nodes nodes.yaml", t, err)}
		default:
			direct = append(direct, wol.Target{Name: mac.String(), MAC: mac, Password: password})
		}
	}
	return names, direct, nil
}

// to reads --to.
func (w *wakeCmd) to() (netip.AddrPort, error) {
	if w.To == "" {
		return netip.AddrPort{}, nil
	}
	if a, err := netip.ParseAddr(w.To); err == nil && a.Is4() {
		return netip.AddrPortFrom(a, wol.Port), nil
	}
	a, err := netip.ParseAddrPort(w.To)
	if err != nil || !a.Addr().Is4() {
		return netip.AddrPort{}, &usageError{fmt.Errorf("wake: --to %q is not an IPv4 address: write the broadcast "+
			"address of the nodes' network, 10.0.0.255, for example", w.To)}
	}
	return a, nil
}

func (w *wakeCmd) sender() (s wol.Sender, way string, err error) {
	if w.ethernet() {
		s, err = wol.Ethernet(w.Interface)
		way = "on " + w.Interface
	} else {
		s, err = wol.UDP()
		way = "by UDP"
	}
	if err != nil {
		return wol.Sender{}, "", fmt.Errorf("wake: %w", err)
	}
	return s, way, nil
}

// line is a target as it is printed: a name, where it has one, and the MAC.
func (w *wakeCmd) line(t wol.Target) string {
	mac := t.MAC.String()
	if !w.ethernet() {
		mac += "  " + t.To.String()
	}
	if t.Name == t.MAC.String() {
		return mac
	}
	return t.Name + "  " + mac
}

func (w *wakeCmd) rehearse(c console, targets []wol.Target) error {
	pace := wol.Pace{Interval: time.Duration(w.Interval), Batch: w.Batch, Repeat: w.Repeat}
	next := 0
	for _, s := range pace.Steps(len(targets)) {
		if s.First < next { // a packet once more
			continue
		}
		next = s.Last
		for _, t := range targets[s.First:s.Last] {
			if _, err := fmt.Fprintf(c.out, "after %v  %s\n", s.After, w.line(t)); err != nil {
				return err
			}
		}
	}
	_, err := fmt.Fprintf(c.out, "%d would be woken; nothing was sent\n", len(targets))
	return err
}

// again is the command that goes on with a target.
func (w *wakeCmd) again(from string) string {
	words := []string{"nodisk wake"}
	flag := func(name, value string) {
		if value != "" {
			words = append(words, "--"+name, quoted(value))
		}
	}
	flag("nodes", w.Nodes)
	if w.All {
		words = append(words, "--all")
	}
	flag("group", strings.Join(w.Group, ","))
	flag("via", w.Via)
	flag("interface", w.Interface)
	flag("to", w.To)
	if w.Password != "" {
		words = append(words, "--password ...")
	}
	flag("interval", w.Interval.String())
	flag("batch", fmt.Sprint(w.Batch))
	flag("repeat", fmt.Sprint(w.Repeat))
	flag("from", from)
	for _, t := range w.Targets {
		words = append(words, quoted(t))
	}
	return strings.Join(words, " ")
}

// quoted is a word for the shell.
func quoted(s string) string {
	if strings.ContainsFunc(s, func(c rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-+/:,=@", c)
	}) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}
