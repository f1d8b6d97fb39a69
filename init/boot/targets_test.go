package boot

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/iscsi"
)

func parseTargets(t *testing.T, specs ...string) []iscsi.Target {
	t.Helper()
	var named []iscsi.Target
	for _, spec := range specs {
		target, err := iscsi.ParseRootPath(spec)
		if err != nil {
			t.Fatal(err)
		}
		named = append(named, target)
	}
	return named
}

func TestByTarget(t *testing.T) {
	named := parseTargets(t,
		"10.0.0.1::::iqn.2026-01.test:a", "10.0.0.2::::iqn.2026-01.test:a", "10.0.0.1:::2:iqn.2026-01.test:a", "10.0.0.1:::0:iqn.2026-01.test:b",
	)
	for chosen, want := range map[bool][]string{
		// No LUN is not LUN 0: it depends on the target, and on what chooses.
		false: {"iqn.2026-01.test:a: 2 portals, {[2] true false}", "iqn.2026-01.test:b: 1 portals, {[0] false false}"},
		true:  {"iqn.2026-01.test:a: 2 portals, {[2] false true}", "iqn.2026-01.test:b: 1 portals, {[0] false false}"},
	} {
		var got []string
		for _, g := range iscsi.GroupByName(named, chosen) {
			got = append(got, fmt.Sprintf("%s: %d portals, {%v %v %v}", g.Name, len(g.Portals), g.Units.LUNs, g.Units.Default, g.Units.All))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("chosen %v (-want +got):\n%s", chosen, diff)
		}
	}
}

// fakePortals plays a target's portals: the order is that of their answers, and
// the value says whether the disks come.
type fakePortals struct {
	order []string
	has   map[string]bool // absent: no login
	asked []string
}

type fakeLogin struct {
	p  *fakePortals
	at iscsi.Portal
}

func (l fakeLogin) At() iscsi.Portal { return l.at }

func (l fakeLogin) HandOver(context.Context, iscsi.Units) (*iscsi.Session, error) {
	if !l.p.has[l.at.Host] {
		return nil, errors.New("no disk on " + l.at.Host)
	}
	return &iscsi.Session{Target: iscsi.Target{Portal: l.at}}, nil
}

func (p *fakePortals) logIn(_ context.Context, racing []iscsi.Target) (login, error) {
	for _, host := range p.order {
		i := slices.IndexFunc(racing, func(t iscsi.Target) bool { return t.Portal.Host == host })
		if _, ok := p.has[host]; ok && i >= 0 {
			p.asked = append(p.asked, host)
			return fakeLogin{p, racing[i].Portal}, nil
		}
	}
	var errs []error
	for _, r := range racing {
		errs = append(errs, errors.New("no login at "+r.Portal.Host))
	}
	return nil, errors.Join(errs...)
}

// The portal that has the disk counts, not the one that is quickest.
func TestPortalWithTheDiskCounts(t *testing.T) {
	for name, tt := range map[string]struct {
		portals  fakePortals
		behind   []string
		asked    []string
		session  string
		after    []string
		err      string
		canceled bool
	}{
		"the quickest has it": {
			portals: fakePortals{order: []string{"b", "a"}, has: map[string]bool{"a": true, "b": true}},
			asked:   []string{"b"}, session: "b",
		},
		"the quickest has it not": {
			portals: fakePortals{order: []string{"b", "a"}, has: map[string]bool{"a": true, "b": false}},
			asked:   []string{"b", "a"}, session: "a", after: []string{"b"},
		},
		"behind is tried when the others have failed": {
			portals: fakePortals{order: []string{"b", "a"}, has: map[string]bool{"b": true}}, behind: []string{"b"},
			asked: []string{"b"}, session: "b",
		},
		"behind is not tried first": {
			portals: fakePortals{order: []string{"b", "a"}, has: map[string]bool{"a": true, "b": true}}, behind: []string{"b"},
			asked: []string{"a"}, session: "a", after: []string{"b"},
		},
		"none has it": {
			portals: fakePortals{order: []string{"b", "a"}, has: map[string]bool{"a": false, "b": false}},
			asked:   []string{"b", "a"}, after: []string{"b", "a"}, err: "no disk on b\nno disk on a",
		},
		"a line for each": {
			portals: fakePortals{order: []string{"b", "a"}, has: map[string]bool{"b": false}},
			asked:   []string{"b"}, after: []string{"b"}, err: "no disk on b\nno login at a",
		},
		"the end of the attempt": {canceled: true, err: "enough"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			if tt.canceled {
				cancel(errors.New("enough"))
			}
			group := iscsi.GroupByName(parseTargets(t, "a::::iqn.2026-01.test:a", "b::::iqn.2026-01.test:a"), false)[0]
			var behind []iscsi.Portal
			for _, h := range tt.behind {
				behind = append(behind, iscsi.Portal{Host: h, Port: iscsi.DefaultPort})
			}
			got := attachGroup(ctx, group, behind, tt.portals.logIn)
			session, after, err := "", []string(nil), ""
			if got.session != nil {
				session = got.session.Target.Portal.Host
			}
			for _, p := range got.behind {
				after = append(after, p.Host)
			}
			if got.err != nil {
				err = got.err.Error()
			}
			if diff := cmp.Diff(tt.asked, tt.portals.asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.after, after); diff != "" {
				t.Errorf("behind (-want +got):\n%s", diff)
			}
			if session != tt.session || err != tt.err {
				t.Errorf("session at %q, %q; want %q, %q", session, err, tt.session, tt.err)
			}
		})
	}
}

func sessionWith(disk string) *iscsi.Session {
	return &iscsi.Session{Disks: []iscsi.Disk{{Name: disk}}}
}

// A target that does not answer keeps nobody waiting once the root is there; as
// long as it is not, all are waited for.
func TestGather(t *testing.T) {
	onSDB := func(_ context.Context, list []attached) bool { return slices.Contains(disksOf(list), "sdb") }
	first := func(_ context.Context, list []attached) bool { return firstHere(list) }
	failed := errors.New("refused")
	for name, tt := range map[string]struct {
		results []attached
		here    func(context.Context, []attached) bool
		grace   time.Duration
		end     bool // ctx ends when all results are in
		want    string
	}{
		"all answer":                  {[]attached{{index: 1, session: sessionWith("sdb")}, {index: 0, session: sessionWith("sda")}, {index: 2, err: failed}}, onSDB, time.Hour, false, "sda sdb refused"},
		"the root is there":           {[]attached{{index: 2, session: sessionWith("sdb")}}, onSDB, 0, false, "- - sdb"},
		"the root is not there":       {[]attached{{index: 2, session: sessionWith("sda")}}, onSDB, 0, true, "- - sda"},
		"the first is the root":       {[]attached{{index: 0, session: sessionWith("sda")}}, first, 0, false, "sda - -"},
		"the second is not":           {[]attached{{index: 1, session: sessionWith("sda")}}, first, 0, true, "- sda -"},
		"unless the first has failed": {[]attached{{index: 1, session: sessionWith("sda")}, {index: 0, err: failed}}, first, 0, false, "refused sda -"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			results := make(chan attached)
			go func() {
				for _, r := range tt.results {
					results <- r
				}
				if tt.end {
					cancel()
				}
			}()
			var got []string
			for _, a := range gather(ctx, 3, results, tt.here, tt.grace) {
				switch {
				case a.err != nil:
					got = append(got, a.err.Error())
				case a.session != nil:
					got = append(got, a.session.Disks[0].Name)
				default:
					got = append(got, "-")
				}
			}
			if g := strings.Join(got, " "); g != tt.want {
				t.Errorf("%s, want %s", g, tt.want)
			}
			if !tt.end && ctx.Err() != nil {
				t.Error("it took as long as it was given")
			}
		})
	}
}

// A session is kept for what is wanted now: a new lease may name another server.
func TestStale(t *testing.T) {
	groups := iscsi.GroupByName(parseTargets(t, "10.0.0.2::::iqn.2026-01.test:a"), false)
	for name, tt := range map[string]struct {
		target, server, initiator, want string
	}{
		"wanted":            {"iqn.2026-01.test:a", "10.0.0.2", "me", ""},
		"another server":    {"iqn.2026-01.test:a", "10.0.0.1", "me", "no longer at portal 10.0.0.1:3260"},
		"another target":    {"iqn.2026-01.test:b", "10.0.0.2", "me", "iqn.2026-01.test:b is no longer wanted"},
		"another initiator": {"iqn.2026-01.test:a", "10.0.0.2", "you", "another initiator's, you"},
	} {
		s := &iscsi.Session{Initiator: tt.initiator, Target: iscsi.Target{Name: tt.target, Portal: iscsi.Portal{Host: tt.server, Port: 3260}}}
		if got := stale(s, groups, "me"); (got == "") != (tt.want == "") || !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", name, got, tt.want)
		}
	}
}

// A target that is named is looked at again as well as one of a lease.
func TestBackTo(t *testing.T) {
	for _, tt := range []struct {
		attempt          int
		byDHCP, attached bool
		want             string
	}{
		{1, false, true, "attach"},
		{3, false, true, "attach"},
		{1, true, true, "attach"},
		{3, true, true, "network"},
		{6, true, false, "network"},
		{1, true, false, ""},
		{3, false, false, ""},
	} {
		if got := backTo(tt.attempt, tt.byDHCP, tt.attached); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}
