package bringup

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nodisk/nodisk/internal/phrase"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/link"
)

// waiting says in one line what is waited for: the state of each interface of each job that is
// not done.
func (r *runner) waiting(now time.Time) string {
	var parts []string
	for _, j := range r.jobs {
		if j.open() && !j.spare {
			parts = append(parts, r.waitingFor(j, now))
		}
	}
	parts = append(parts, r.waysFor(now)...)
	if why := r.config.Unselected(r.devices()); why != "" {
		parts = append(parts, why)
	}
	if len(parts) == 0 && !r.lo {
		return "the kernel has not shown the interface lo"
	}
	return strings.Join(parts, "; ")
}

func (r *runner) waitingFor(j *job, now time.Time) string {
	parts, dark := slices.Clone(j.refused), []string(nil)
	longest, asking := time.Duration(0), false
	for _, n := range r.sorted() {
		switch {
		case n.job != j || !j.takes(n.dev):
		case n.err != nil:
			parts = append(parts, n.unable())
		case !n.ready:
			parts = append(
				parts,
				fmt.Sprintf(
					"%s: driver %s is taking %s to bring the device up",
					n.dev.Name,
					n.dev.Driver,
					phrase.Seconds(now.Sub(n.first)),
				),
			)
		case !n.carrier && n.gate != 0:
			parts = append(parts, n.dev.Name+": "+r.obstacle(n, now))
		case !n.carrier && r.config.Made(n.dev.Name):
			parts = append(parts, r.below(n.dev.Name, now))
		case !n.carrier:
			dark = append(dark, n.dev.Name)
			longest = max(longest, now.Sub(n.since))
		case n.refused != "":
			parts = append(parts, n.dev.Name+": "+n.refused)
		case n.protocol != nil:
			parts, asking = append(parts, r.asks(n, now)), true
		}
	}
	// Sixteen ports without a cable are one fact.
	if len(dark) > 0 {
		parts = append(
			parts,
			fmt.Sprintf(
				"%s: no carrier for %s: check the cable or the switch port",
				strings.Join(dark, ", "),
				phrase.Seconds(longest),
			),
		)
	}
	if asking {
		parts = append(parts, r.config.Unasked(j.Addressing, r.devices())...)
	}
	if len(parts) == 0 {
		return r.missing(j, now)
	}
	return strings.Join(parts, "; ")
}

// missing says why there is no interface for the job.
func (r *runner) missing(j *job, now time.Time) string {
	if j.lost != nil && !j.Named() {
		if r.config.Made(j.was.Name) {
			return r.missing(&job{Addressing: netsetup.Addressing{Device: j.was.Name}}, now)
		}
		return fmt.Sprintf(
			"%s: is gone, and no interface with its address %s has come: check the adapter and its driver",
			j.was.Name,
			j.was.Lasting(),
		)
	}
	switch lowers := r.config.Lowers(j.Device); {
	case r.config.Bond(j.Device) && r.unmadeBonds() != "":
		return j.Device + ": is not made yet: " + r.unmadeBonds()
	case lowers != nil:
		again := ""
		if l := r.losses[j.Device]; l != nil && l.Often(now) {
			again = "it has gone " + phrase.Times(l.Times+1) + " in short order, "
		}
		return j.Device + ": is not made yet: " + again + r.states(lowers, now)
	}
	if links := r.config.Unmade(j.Addressing, r.devices()); len(links) > 0 {
		var parts []string
		for _, name := range links {
			parts = append(parts, name+": is not made yet: "+r.states(r.config.Lowers(name), now))
		}
		return strings.Join(parts, "; ")
	}
	text := strings.Join(append([]string{r.absent(j.Addressing, now)}, r.unnamed()...), "; ")
	if !j.infiniBand(r.config.BootIF) {
		return text
	}
	if zero := r.nameless(now); len(zero) > 0 {
		return text + "; " + strings.Join(zero, "; ")
	}
	if r.loading(now) != "" {
		return text
	}
	// The first gate.
	hcas := r.sys.Hcas()
	if len(hcas) == 0 {
		return text + "; no driver has found an InfiniBand adapter: check that the image holds it (profile mlx4, " +
			"mlx5, ib or opa)"
	}
	// One that has an interface is not at a gate: it is among those that are present, under
	// another name.
	have := r.devices()
	hcas = slices.DeleteFunc(slices.Clone(hcas), func(hca string) bool {
		return slices.ContainsFunc(
			have,
			func(d link.Device) bool { return d.Type == link.HwInfiniBand && d.HCA == hca },
		)
	})
	if len(hcas) == 0 {
		return text
	}
	return text + "; there is " + strings.Join(
		hcas,
		", ",
	) + ", and no IPoIB interface on it: check that ib_ipoib is in the image (profile ib or opa) and the port's " +
		"link layer is InfiniBand"
}

// unmadeBonds says why the last try to make the bonds has failed, empty if it has not.
func (r *runner) unmadeBonds() string {
	for _, n := range r.attachments {
		if n.dev.Type == link.HwLoopback && n.err != nil {
			return fmt.Sprintf("%s (tried %s)", n.err, phrase.Times(n.tries))
		}
	}
	return ""
}

// unnamed says which names of ifname= could not be given, and why.
func (r *runner) unnamed() []string {
	var parts []string
	for _, n := range r.sorted() {
		if n.unnamed == nil {
			continue
		}
		why := "has a name that ifname= gives to another"
		if name, ok := r.config.Ifname(n.dev); ok {
			why = "cannot become " + name + " (ifname=)"
		}
		parts = append(parts, n.dev.Name+" "+why+": "+n.unnamed.Error())
	}
	return parts
}

// infiniBand reports whether the argument can only mean an InfiniBand interface.
func (j *job) infiniBand(bootIF link.HardwareAddr) bool {
	return link.InfiniBandName(j.Device) || len(j.Match) == 8 || (!j.Named() && len(bootIF) == 8)
}

// state says how far the interface of that name, which takes no address, has come.
func (r *runner) state(name string, now time.Time) string {
	for _, n := range r.sorted() {
		switch {
		case n.dev.Name != name:
		case n.err != nil:
			return tried(n.err, n.tries)
		case n.redoErr != nil:
			return tried(n.redoErr, n.redone)
		case !n.ready:
			return fmt.Sprintf(
				"%s: driver %s is taking %s to bring the device up",
				name,
				n.dev.Driver,
				phrase.Seconds(now.Sub(n.first)),
			)
		case n.gate != 0:
			return name + ": " + r.obstacle(n, now)
		case !n.dev.Carrier && r.config.Made(name):
			return r.below(name, now)
		case !n.dev.Carrier:
			return name + ": its link has no carrier"
		default:
			return name + " is ready"
		}
	}
	probe := job{Addressing: netsetup.Addressing{Device: name}}
	return r.missing(&probe, now)
}

// below says why a link that is made of others has no carrier: none of them has, or too few for
// the min_links of a bond.
func (r *runner) below(name string, now time.Time) string {
	states := r.states(r.config.Lowers(name), now)
	lit, least := 0, r.config.MinLinks(name)
	for _, n := range r.attachments {
		if !n.key.ipv6 && n.dev.Carrier && r.config.MasterName(n.dev) == name {
			lit++
		}
	}
	if lit > 0 && least > lit {
		return fmt.Sprintf(
			"%s: %s with carrier, and min_links is %d: %s",
			name,
			phrase.Count(lit, "port"),
			least,
			states,
		)
	}
	return name + ": none of its ports has carrier: " + states
}

// states describes each interface that matches.
func (r *runner) states(of []link.PortMatch, now time.Time) string {
	var parts []string
	for _, m := range of {
		found := false
		for _, n := range r.sorted() {
			if m.Selects(n.dev) && !n.key.ipv6 {
				found = true
				parts = append(parts, r.state(n.dev.Name, now))
			}
		}
		switch {
		case found:
		case m.Glob():
			remedy := cmp.Or(r.loading(now), netsetup.CheckName+r.stillLoading())
			parts = append(parts, "no interface matches "+m.String()+": "+remedy)
		case m.Addr != "":
			parts = append(parts, r.absent(netsetup.Addressing{Match: m.Addr}, now))
		default:
			parts = append(parts, r.state(m.Name, now))
		}
	}
	return strings.Join(parts, "; ")
}

// look finds the gate at which an InfiniBand interface without carrier stands, by what is known
// about its port, and has that read once more. The kernel reports nothing about ports, except for
// carrier when all is done; so this is for the messages, and for the time that each gate has.
func (r *runner) look(n *attachment, now time.Time) {
	if r.stand(n, now) {
		r.askPort(r.portOf(n), now)
	}
}

// stand finds that gate by what is known, and reports whether the state of the port matters.
func (r *runner) stand(n *attachment, now time.Time) bool {
	d := r.portOf(n)
	if zero := !n.dev.Identified(); r.anonymous(n) && (zero || n.dev.Carrier) ||
		zero && n.job == nil && !n.dev.Carrier {
		if n.gate != link.GateGUID {
			n.gate, n.since = link.GateGUID, now
		}
		return false
	}
	if n.dev.Type != link.HwInfiniBand || n.dev.Carrier || !n.dev.Up || d.Port == 0 {
		n.gate = 0
		return false
	}
	switch g := r.port(d).gate(n.dev.PKey()); {
	case g == 0 || g == link.GateUnread:
		n.gate = g
	case g != n.gate:
		n.gate, n.since = g, now
	}
	return true
}

// portOf returns the device that knows the port: for a P_Key child, its parent.
func (r *runner) portOf(n *attachment) link.Device {
	if parent := r.attachments[attachmentKey{index: n.dev.Parent}]; n.dev.Port == 0 && parent != nil {
		d := parent.dev
		d.Addr = n.dev.Addr
		return d
	}
	return n.dev
}

// obstacle is the sentence about the gate of an interface.
func (r *runner) obstacle(n *attachment, now time.Time) string {
	d := r.portOf(n)
	p := r.port(d)
	switch n.gate {
	case link.GateGUID:
		return d.ZeroGUID(now.Sub(n.since)) + r.silence(d, now)
	case link.GateUnread:
		return p.unread(d, now)
	default:
		return p.state.Obstacle(n.gate, d, n.dev.PKey(), now.Sub(n.since)) + r.silence(d, now)
	}
}
