package netsetup

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/internal/sets"
	"github.com/nodisk/nodisk/netsetup/link"
)

// Traces are what attempts at a network have left in the kernel. The next attempt removes what it
// does not want itself, once it has something better: sessions may live on it until then.
type Traces struct {
	Links  []string // set up, by name
	Addrs  []link.AddrAdd
	Routes []link.Route
	// Given are the names that the kernel gave to adapters which may have been renamed, by index:
	// nothing else knows them.
	Given map[int]string
}

// String has a line for each: the ip(8) command that makes it, for a name what ip link had shown,
// "2: eth0". ParseTraces reads it back.
func (t Traces) String() string {
	var b strings.Builder
	for _, index := range slices.Sorted(maps.Keys(t.Given)) {
		fmt.Fprintf(&b, "%d: %s\n", index, t.Given[index])
	}
	for _, name := range t.Links {
		b.WriteString(link.Up{Dev: name}.String() + "\n")
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
			return Traces{}, fmt.Errorf(
				"read traces of an earlier attempt: %q is none of its lines",
				phrase.Clip(strings.TrimSpace(line)),
			)
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
		return ok && err == nil && link.ValidDeviceName(f[1])
	case is("ip", "link", "set") && len(f) == 5 && f[4] == "up":
		t.Links = append(t.Links, f[3])
		return true
	case is("ip", "addr", "add"):
		p, err := netip.ParsePrefix(f[3])
		t.Addrs = append(t.Addrs, link.AddrAdd{Dev: f[len(f)-1], Addr: p})
		return err == nil && len(f) >= 6 && f[len(f)-2] == "dev"
	case is("ip", "route", "replace"):
		r, ok := parseRouteFields(f[3:])
		t.Routes = append(t.Routes, r)
		return ok
	}
	return false
}

// parseRouteFields reads "NET [via ADDR] dev DEV [onlink] [metric N]".
func parseRouteFields(f []string) (link.Route, bool) {
	dst, err := netip.ParsePrefix(f[0])
	r := link.Route{Dst: dst}
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

// Note keeps what a step has left.
func (t *Traces) Note(s link.Step) {
	switch s := s.(type) {
	case link.AddrAdd:
		t.Addrs = sets.Union(t.Addrs, []link.AddrAdd{s})
	case link.AddrDel:
		t.Addrs = slices.DeleteFunc(t.Addrs, func(a link.AddrAdd) bool { return a == link.AddrAdd(s) })
	case link.Route:
		t.Routes = append(slices.DeleteFunc(t.Routes, s.Replaces), s)
	}
}

// With adds what another attempt has left.
func (t Traces) With(o Traces) Traces {
	given := maps.Clone(t.Given)
	if given == nil {
		given = map[int]string{}
	}
	maps.Copy(given, o.Given)
	return Traces{
		Links:  sets.Union(t.Links, o.Links),
		Addrs:  sets.Union(t.Addrs, o.Addrs),
		Routes: sets.Union(t.Routes, o.Routes),
		Given:  given,
	}
}

// Undo removes those that are chosen, and returns the steps that undo them except for what is
// wanted. The address comes last: the kernel deletes routes with it.
func (t *Traces) Undo(dev string, ipv6 bool, wanted []link.Step) []link.Step {
	mine := func(d string, a netip.Addr) bool { return (dev == "" || d == dev && a.Is6() == ipv6) }
	var steps []link.Step
	t.Routes = slices.DeleteFunc(t.Routes, func(r link.Route) bool {
		if !mine(r.Dev, r.Dst.Addr()) {
			return false
		}
		if !slices.ContainsFunc(
			wanted,
			func(s link.Step) bool { w, ok := s.(link.Route); return ok && w.Replaces(r) },
		) {
			steps = append(steps, link.RouteDel(r))
		}
		return true
	})
	t.Addrs = slices.DeleteFunc(t.Addrs, func(a link.AddrAdd) bool {
		if !mine(a.Dev, a.Addr.Addr()) {
			return false
		}
		if !slices.Contains(wanted, link.Step(a)) {
			steps = append(steps, link.AddrDel(a))
		}
		return true
	})
	return steps
}
