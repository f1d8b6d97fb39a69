package netsetup

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Traces are what attempts at a network have left in the kernel. The next attempt
// takes away what it does not want itself, when it knows better: sessions may live on
// it until then.
type Traces struct {
	Links  []string // set up, by name
	Addrs  []AddrAdd
	Routes []Route
	// Given are the names that the kernel gave to adapters which may have another now,
	// by index: nothing else knows them.
	Given map[int]string
}

// RouteDel deletes a route.
type RouteDel Route

var _ Step = RouteDel{}

func (s RouteDel) String() string {
	return strings.Replace(Route(s).String(), "ip route replace", "ip route del", 1)
}
func (s RouteDel) apply(l linker) error { return l.routeDel(s) }

// String has a line for each: the command of ip(8) that makes it, of a name what ip link
// had shown, "2: eth0". ParseTraces reads it back.
func (t Traces) String() string {
	var b strings.Builder
	for _, index := range slices.Sorted(maps.Keys(t.Given)) {
		fmt.Fprintf(&b, "%d: %s\n", index, t.Given[index])
	}
	for _, name := range t.Links {
		b.WriteString(LinkUp{Dev: name}.String() + "\n")
	}
	for _, a := range t.Addrs {
		b.WriteString(a.String() + "\n")
	}
	for _, r := range t.Routes {
		// "default" does not say of which family.
		b.WriteString(strings.Replace(r.String(), " default", " "+r.Dst.String(), 1) + "\n")
	}
	return b.String()
}

// ParseTraces reads what Traces.String has written. The error names the line that is
// not of that form.
func ParseTraces(text string) (Traces, error) {
	var t Traces
	for line := range strings.Lines(text) {
		if !t.parse(strings.Fields(line)) {
			return Traces{}, fmt.Errorf("read traces of an earlier attempt: %q is none of its lines", clip(strings.TrimSpace(line)))
		}
	}
	return t, nil
}

func (t *Traces) parse(f []string) bool {
	is := func(words ...string) bool { return len(f) > len(words) && slices.Equal(f[:len(words)], words) }
	switch {
	case len(f) == 2:
		digits, ok := strings.CutSuffix(f[0], ":")
		index, err := strconv.Atoi(digits)
		if t.Given == nil {
			t.Given = map[int]string{}
		}
		t.Given[index] = f[1]
		return ok && err == nil && validDeviceName(f[1])
	case is("ip", "link", "set") && len(f) == 5 && f[4] == "up":
		t.Links = append(t.Links, f[3])
		return true
	case is("ip", "addr", "add"):
		p, err := netip.ParsePrefix(f[3])
		t.Addrs = append(t.Addrs, AddrAdd{Dev: f[len(f)-1], Addr: p})
		return err == nil && len(f) >= 6 && f[len(f)-2] == "dev"
	case is("ip", "route", "replace"):
		r, ok := parseRouteFields(f[3:])
		t.Routes = append(t.Routes, r)
		return ok
	}
	return false
}

// parseRouteFields reads "NET [via ADDR] dev DEV [onlink] [metric N]".
func parseRouteFields(f []string) (Route, bool) {
	dst, err := netip.ParsePrefix(f[0])
	r := Route{Dst: dst}
	for i := 1; i < len(f) && err == nil; i++ {
		if f[i] == "onlink" {
			r.OnLink = true
			continue
		}
		if i+1 == len(f) {
			return r, false
		}
		switch f[i] {
		case "via":
			r.Via, err = netip.ParseAddr(f[i+1])
		case "dev":
			r.Dev = f[i+1]
		case "metric":
			r.Metric, err = strconv.Atoi(f[i+1])
		default:
			return r, false
		}
		i++
	}
	return r, err == nil && r.Dev != ""
}

// note keeps what a step has left.
func (t *Traces) note(s Step) {
	switch s := s.(type) {
	case AddrAdd:
		t.Addrs = join(t.Addrs, []AddrAdd{s})
	case AddrDel:
		t.Addrs = slices.DeleteFunc(t.Addrs, func(a AddrAdd) bool { return a == AddrAdd(s) })
	case Route:
		t.Routes = append(slices.DeleteFunc(t.Routes, s.replaces), s)
	}
}

// replaces reports whether the kernel has only one of the two routes.
func (s Route) replaces(o Route) bool {
	return s.Dst == o.Dst && s.Metric == o.Metric
}

// with adds what another attempt has left.
func (t Traces) with(o Traces) Traces {
	given := maps.Clone(t.Given)
	if given == nil {
		given = map[int]string{}
	}
	maps.Copy(given, o.Given)
	return Traces{Links: join(t.Links, o.Links), Addrs: join(t.Addrs, o.Addrs), Routes: join(t.Routes, o.Routes), Given: given}
}

// undo takes those out that are chosen, and returns the steps that undo them but for
// what is wanted. The address comes last: the kernel deletes routes with it.
func (t *Traces) undo(dev string, six bool, wanted []Step) []Step {
	mine := func(d string, a netip.Addr) bool { return (dev == "" || d == dev && a.Is6() == six) }
	var steps []Step
	t.Routes = slices.DeleteFunc(t.Routes, func(r Route) bool {
		if !mine(r.Dev, r.Dst.Addr()) {
			return false
		}
		if !slices.ContainsFunc(wanted, func(s Step) bool { w, ok := s.(Route); return ok && w.replaces(r) }) {
			steps = append(steps, RouteDel(r))
		}
		return true
	})
	t.Addrs = slices.DeleteFunc(t.Addrs, func(a AddrAdd) bool {
		if !mine(a.Dev, a.Addr.Addr()) {
			return false
		}
		if !slices.Contains(wanted, Step(a)) {
			steps = append(steps, AddrDel(a))
		}
		return true
	})
	return steps
}

// keptSteps would add the addresses that the interface has already.
func (l Lease) keptSteps(dev string) []Step {
	var steps []Step
	for _, p := range l.Kept {
		steps = append(steps, AddrAdd{Dev: dev, Addr: p})
	}
	return steps
}

// traces are what this attempt and those before it have left.
func (r *runner) traces() Traces {
	made := r.made
	made.Given = r.given
	for _, n := range r.sorted() {
		if n.slot != nil && !n.wasUp && (n.ready || n.setting) {
			made.Links = join(made.Links, []string{n.dev.Name})
		}
	}
	return r.before.with(made)
}

// apply makes a change and keeps its trace.
func (r *runner) apply(s Step) error {
	err := s.apply(r.sys)
	if err == nil {
		r.made.note(s)
		if route, ok := s.(Route); ok {
			r.before.Routes = slices.DeleteFunc(r.before.Routes, route.replaces)
		}
	}
	return err
}

// undo takes away what earlier attempts have left, of one device and family of
// addresses, or with "" everywhere.
func (r *runner) undo(dev string, six bool, wanted []Step) {
	for _, s := range r.before.undo(dev, six, wanted) {
		err := s.apply(r.sys)
		r.log.Info(fmt.Sprintf("of an earlier attempt: %s", s))
		if err != nil {
			r.log.Warn(fmt.Sprintf("%s: %v", s, err))
		}
	}
}
