package bringup_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nodisk/nodisk/build/preflight"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/init/rootfs"
	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup"
)

const (
	// usual is how long Up may take where a row does not say (within=): the checks of
	// the link, and the router that does not answer them.
	usual = 3 * time.Second
	// patience is how long the boot is tried; what still waits then is what it waits for.
	patience = 2 * time.Minute
	// kept is how long the boot goes on with the network.
	kept = 10 * time.Second
)

// A kind is how a fact is compared.
type kind int

const (
	whole   kind = iota + 1 // all that came, in its order; nothing if it is not there
	sure                    // the same, if it is there
	told                    // fragments of sentences, of which each must be there, and no other
	said                    // fragments of sentences, if they are there
	limited                 // the time
)

// kindOf is 0 for a key that is none.
func kindOf(key string) kind {
	switch key {
	case "up", "via", "target", "nfs", "root", "host":
		return whole
	case "dns", "search", "ntp", "mtu", "initiator", "vers", "options":
		return sure
	case "fault", "warn", "waits":
		return told
	case "verdict", "plan", "note", "says", "does":
		return said
	case "within":
		return limited
	}
	return 0
}

// An findings is what came of a situation, by the keys of the facts.
type findings struct {
	facts map[string][]string
	took  time.Duration
}

func (o findings) add(key string, values ...string) { o.facts[key] = append(o.facts[key], values...) }

// TestWorld tries what people have on their command lines and on their networks.
func TestWorld(t *testing.T) {
	for _, s := range world(t) {
		t.Run(s.id, func(t *testing.T) {
			got := s.run(t)
			if diff := differences(s.want, got); len(diff) > 0 {
				t.Errorf("%s (%s)\n%s\n%s", s.what, s.source, s.line, strings.Join(diff, "\n"))
				return
			}
			s.canFail(t, got)
		})
	}
}

// canFail sees that each fact of the row is looked at, and that nothing else may come.
func (s situation) canFail(t *testing.T, got findings) {
	for i, f := range s.want {
		changed := slices.Clone(s.want)
		changed[i].value = f.value + "?!"
		if kindOf(f.key) == limited {
			changed[i].value = "1ns"
		}
		if len(differences(changed, got)) == 0 {
			t.Errorf("%s=%s: another value passes", f.key, f.value)
		}
		if k := kindOf(f.key); (k == whole || k == told) && len(differences(slices.Delete(slices.Clone(s.want), i, i+1), got)) == 0 {
			t.Errorf("%s=%s: passes without it", f.key, f.value)
		}
	}
	for _, key := range always() {
		if len(differences(append(slices.Clone(s.want), fact{key, "?!"}), got)) == 0 {
			t.Errorf("%s: one more passes", key)
		}
	}
}

// always are the keys that stand for "none" where a row does not have them.
func always() []string {
	return []string{"fault", "warn", "waits", "up", "via", "target", "nfs", "root", "host"}
}

// TestWorldForm: what a row misspells is not passed over.
func TestWorldForm(t *testing.T) {
	const rest = " | eth0 lease=10.0.0.9/24 | up=ens3:10.0.0.9/24"
	for line, want := range map[string]string{
		"A | b | c | ip=dhcp" + rest + "\nA | b | c | ip=dhcp" + rest:  "A: is there already",
		"A | b | c | ip=dhcp | eth0":                                   "5 columns",
		"A | b | c | ip=dhcp | lease=10.0.0.9/24 | up=x":               "card 1 has no name",
		"A | b | c | ip=dhcp | eth0 lease=10.0.0.9 | up=x":             "lease=10.0.0.9",
		"A | b | c | ip=dhcp | eth0 router=10.0.0.9 | up=x":            "behind no lease=",
		"A | b | c | ip=dhcp | eth0 lease=10.0.0.9/24 ruter=1 | up=x":  "ruter=1: is no word",
		"A | b | c | ip=dhcp | eth0 lease=10.0.0.9/24 mtu=70000 | u=x": "mtu=70000",
		"A | b | c | ip=dhcp | eth0 color=red | up=x":                  "color=red",
		"A | b | c | ip=dhcp | eth0 | ups=x":                           "ups=x: is not what can come",
		"A | b | c | ip=dhcp | eth0 | up=":                             "up=: is not what can come",
		"A | b | c | ip=dhcp | eth0 | ":                                "columns",
		`A | b | c | ip=dhcp | eth0 | warn="x`:                         "invalid syntax",
		"A | b | c | ip=dhcp | eth0 | within=soon":                     "soon",
	} {
		if _, err := parseTable(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

func world(t *testing.T) []situation {
	t.Helper()
	text, err := os.ReadFile("testdata/world.txt")
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseTable(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// run is nodisk plan, and where that has no fault the boot up to what it would attach
// and mount.
func (s situation) run(t *testing.T) findings {
	o := findings{facts: map[string][]string{}}
	line := cmdline.Parse(s.line)
	report, err := preflight.Check(t.Context(), preflight.Input{Line: line})
	if err != nil {
		t.Fatal(err)
	}
	o.add("fault", report.Faults...)
	o.add("warn", report.Doubts...)
	o.add("note", report.Notes...)
	o.add("verdict", report.Verdict(false))
	o.add("plan", report.Plan)
	p, err := plan.New(line, nil)
	if err != nil || len(report.Faults) > 0 || s.onlyPlan {
		return o
	}
	net := netsetup.State{}
	if p.NeedNetwork {
		conf := p.Network
		conf.Needs = p.Needs(nil, plan.Names{})
		synctest.Test(t, func(t *testing.T) {
			up := bringup.UpOn(t, conf, s.cards, s.taken, patience, kept)
			net, o.took = up.State, up.Took
			o.add("says", up.Log...)
			o.add("does", up.Commands...)
			if err = up.Err; err == nil {
				o.network(up)
			}
		})
	}
	if err == nil {
		err = o.completed(p, net)
	}
	if err != nil {
		o.add("waits", err.Error())
	}
	return o
}

// network is what has come up.
func (o findings) network(up bringup.Outcome) {
	for _, s := range append([]netsetup.State{up.State}, up.State.Others...) {
		if s.Device == "" {
			continue
		}
		text := s.Device
		for _, a := range s.Addrs {
			text += ":" + a.String()
		}
		o.add("up", text)
	}
	o.add("via", defaults(up)...)
	if up.State.Hostname != "" {
		o.add("host", up.State.Hostname)
	}
	for _, a := range up.State.DNS {
		o.add("dns", a.String())
	}
	for _, a := range up.State.NTP {
		o.add("ntp", a.String())
	}
	search := up.State.Search
	if d := up.State.Domain; d != "" && !slices.Contains(search, d) {
		search = append([]string{d}, search...)
	}
	o.add("search", search...)
	if l := up.State.Lease; l != nil && l.MTU > 0 {
		o.add("mtu", strconv.Itoa(l.MTU))
	}
	if l := up.State.Lease; l != nil && l.InitiatorName != "" {
		o.add("initiator", l.InitiatorName)
	}
}

// completed is what is attached and mounted.
func (o findings) completed(p plan.Plan, net netsetup.State) error {
	root, err := p.RootBy(net)
	if err != nil {
		return err
	}
	targets, warnings := p.TargetsBy(root, net)
	o.add("warn", warnings...)
	for _, target := range targets {
		o.add("target", target.String())
	}
	if p.Initiator != "" {
		o.add("initiator", p.Initiator)
	}
	switch root.Kind {
	case rootfs.KindNFS:
		n, err := root.NFS.For(plan.Client(net))
		if err != nil {
			return err
		}
		o.add("nfs", n.Source())
		for _, v := range n.Versions {
			o.add("vers", string(v))
		}
		if n.Options != "" {
			o.add("options", n.Options)
		}
	case rootfs.KindBlock:
		if !root.Block.IsZero() {
			o.add("root", root.Block.String())
		}
	case rootfs.KindRAM:
		o.add("root", "ram")
	case rootfs.KindByDHCP:
		return fmt.Errorf("no root: %v", root)
	}
	return nil
}

// defaults are the default routes that packets take, of IPv4 and IPv6, as gateway and
// interface. They are those of the commands that were run, not of what the State says.
func defaults(up bringup.Outcome) []string {
	type route struct {
		via, dev string
		metric   int
	}
	var all []route
	for _, c := range up.Commands {
		words := strings.Fields(c)
		if len(words) < 4 || words[0] != "route" || words[2] != "default" {
			if rest, ok := strings.CutSuffix(c, " down"); ok {
				all = slices.DeleteFunc(all, func(r route) bool { return "link set "+r.dev == rest })
			}
			continue
		}
		var r route
		for i, w := range words[:len(words)-1] {
			switch next := words[i+1]; w {
			case "via":
				r.via = next
			case "dev":
				r.dev = next
			case "metric":
				r.metric, _ = strconv.Atoi(next)
			}
		}
		four := strings.Contains(r.via, ".")
		// The kernel replaces the one of the same metric.
		all = slices.DeleteFunc(all, func(o route) bool { return o.metric == r.metric && strings.Contains(o.via, ".") == four })
		if words[1] == "replace" {
			all = append(all, r)
		}
	}
	if g := up.State.Gateway; g.Is6() && !slices.ContainsFunc(all, func(r route) bool { return strings.Contains(r.via, ":") }) {
		all = append(all, route{via: g.String(), dev: up.State.Device}) // the kernel's, of a router
	}
	var best []string
	for _, four := range []bool{true, false} {
		var first *route
		for i, r := range all {
			if strings.Contains(r.via, ".") == four && (first == nil || r.metric < first.metric) {
				first = &all[i]
			}
		}
		if first != nil {
			best = append(best, first.via+"%"+first.dev)
		}
	}
	return best
}

// differences says what is not as it must be.
func differences(want []fact, got findings) []string {
	var diff []string
	wanted := map[string][]string{}
	for _, f := range want {
		wanted[f.key] = append(wanted[f.key], f.value)
	}
	for _, key := range always() {
		if _, ok := wanted[key]; !ok {
			wanted[key] = nil
		}
	}
	if _, ok := wanted["within"]; !ok && len(wanted["waits"]) == 0 {
		wanted["within"] = []string{usual.String()}
	}
	for key, values := range wanted {
		have := got.facts[key]
		bad := func(text string) { diff = append(diff, fmt.Sprintf("%s: %s; it is %q", key, text, have)) }
		switch kindOf(key) {
		case whole, sure:
			if strings.Join(values, " ") != strings.Join(have, " ") {
				bad(fmt.Sprintf("%q is wanted", values))
			}
		case told, said:
			if kindOf(key) == told && len(values) != len(have) {
				bad(fmt.Sprintf("%d are wanted", len(values)))
			}
			for _, v := range values {
				if !slices.ContainsFunc(have, func(s string) bool { return strings.Contains(s, v) }) {
					bad(fmt.Sprintf("no %q", v))
				}
			}
		case limited:
			if limit, err := time.ParseDuration(values[0]); err != nil || got.took > limit {
				diff = append(diff, fmt.Sprintf("within: %s is the limit; it took %v", values[0], got.took))
			}
		default:
			bad("is no key")
		}
	}
	slices.Sort(diff)
	return diff
}
