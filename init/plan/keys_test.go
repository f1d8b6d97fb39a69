package plan

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
)

func TestJudge(t *testing.T) {
	warnings, notes := keyTable(Keys()).judge(cmdline.Parse("quiet console=ttyS0 nodisk.onfial=halt rd.shel rd.shel nodisk.syslog=udp://a rd.iscsi.initator=x nodisk.xyzzy=1 root=x " +
		"rd.iscsi.waitnet=0 rd.debug rd.timeout=0 rd.fcoe=0 rd.auto=1"))
	if diff := cmp.Diff([]string{
		"nodisk.onfial: unknown key, did you mean nodisk.onfail?",
		"rd.shel: unknown key, did you mean rd.shell?",
		"nodisk.syslog: not built yet, without effect",
		"rd.iscsi.initator: unknown key, did you mean rd.iscsi.initiator?",
		"nodisk.xyzzy: unknown key",
		"rd.debug: without effect: write nodisk.log=debug",
		"rd.auto: without effect: nodisk assembles no volumes",
	}, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"rd.iscsi.waitnet: not needed: the network is waited for in any case"}, notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
}

// R10: what xCAT and anaconda write is no misspelling, and nothing to warn of.
func TestJudgeKeysOfOthers(t *testing.T) {
	for _, line := range []string{
		"rd.net.timeout.iflink=60 rd.net.timeout.ifup=80", "rd.lvm=0 rd.luks=0 rd.md=0 rd.dm=0", "rd.lvm.lv=a/b rd.luks.uuid=c rd.md.uuid=d rd.multipath=default",
		"rd.iscsi.waitnet=0 rd.iscsi.testroute=0 rd.iscsi.transport=tcp rd.iscsi.target.group=1 rd.iscsi.login_retry_max=9",
		"rd.plymouth=0 plymouth.enable=0 rd.vconsole.keymap=de rd.locale.LANG=de_DE.UTF-8 rd.udev.log_level=debug rd.systemd.unit=a rd.nonvmf rd.hostonly=0 rd.skipfsck",
		"boot=UUID=1-2 fips=1 resume=/dev/sda2 noresume net.ifnames=0 biosdevname=0 ip6=off rd.timeout=0 rd.znet=a rd.zfcp.conf=0",
	} {
		if warnings, _ := keyTable(Keys()).judge(cmdline.Parse(line)); warnings != nil {
			t.Errorf("%s: %q", line, warnings)
		}
	}
}

// bases are command lines to which an example can be added.
func bases() []string {
	return []string{
		"", "root=LABEL=a", "root=/dev/nfs nfsroot=10.0.0.1:/srv", "root=LABEL=a netroot=iscsi:10.0.0.1::::iqn.2026-01.org.example:a ip=eth0:dhcp",
		"root=LABEL=a rd.iscsi.target.name=iqn.2026-01.org.example:a rd.iscsi.target.ip=10.0.0.1",
	}
}

// told is what a plan says of a key: what begins with it or, in errors, with what it
// is another name of.
func told(k cmdline.Key, name string, p Plan, err error) string {
	about := func(lines []string, names ...string) []string {
		var list []string
		for _, l := range lines {
			if slices.ContainsFunc(names, func(n string) bool { return n != "" && (strings.HasPrefix(l, n+":") || strings.HasPrefix(l, n+"=")) }) {
				list = append(list, l)
			}
		}
		return list
	}
	var errs []string
	if err != nil {
		errs = strings.Split(err.Error(), "\n")
	}
	out := ""
	for _, part := range []struct {
		what  string
		lines []string
	}{{"warning", about(p.Warnings, name)}, {"note", about(p.Notes, name)}, {"error", about(errs, name, k.As)}} {
		for _, l := range part.lines {
			out += part.what + " " + l + "\n"
		}
	}
	return out
}

// Every key of the table does what the table says, in /init's own plan.
func TestKeys(t *testing.T) {
	names := map[string]bool{}
	for _, k := range Keys() {
		t.Run(k.Name, func(t *testing.T) {
			name, _, _ := strings.Cut(k.Example, "=")
			if found, ok := keyTable(Keys()).lookup(name); !ok || found.Name != k.Name || names[k.Name] {
				t.Fatalf("%s is found as %q, %v; twice: %v", name, found.Name, ok, names[k.Name])
			}
			names[k.Name] = true
			want, fails := "", k.State == cmdline.KeyRefused
			switch k.State {
			case cmdline.KeyDone, cmdline.KeyForeign:
				if k.As != "" {
					want = "note " + name + ": taken as " + k.As + "\n"
				}
			case cmdline.KeyNotNeeded:
				want = "note " + name + ": not needed: " + k.Why + "\n"
			case cmdline.KeyInstead:
				want = "warning " + name + ": without effect: " + k.Why + "\n"
			case cmdline.KeyLater:
				want = "warning " + name + ": not built yet, without effect\n"
			case cmdline.KeyRefused:
				problem, fix, ok := strings.Cut(k.Why, ": ")
				if !ok {
					t.Fatalf("%q says no way out", k.Why)
				}
				if k.As != "" {
					want = "note " + name + ": taken as " + k.As + "\n"
					name = k.As
				}
				want += "error " + name + "=...: " + problem + "; " + fix + "\n"
			default:
				t.Fatalf("state %v", k.State)
			}
			var tried []string
			for _, base := range bases() {
				line := strings.TrimSpace(base + " " + k.Example)
				name, _, _ := strings.Cut(k.Example, "=")
				p, err := New(cmdline.Parse(line), nil)
				got := told(k, name, p, err)
				if k.Name == "team" {
					got = strings.ReplaceAll(got, "team0:eth0,eth1", "...")
				}
				if got == want && (err != nil) == fails {
					return
				}
				tried = append(tried, fmt.Sprintf("%s: %s%v", line, got, err))
			}
			t.Errorf("want %q, got\n%s", want, strings.Join(tried, "\n"))
		})
	}
}

// effectBases are command lines beside which a key shows what it does.
func effectBases() []string {
	return append(bases(), "root=/dev/nfs", "nfsroot=10.0.0.1:/srv", "root=LABEL=a rd.iscsi.target.name=iqn.2026-01.org.example:a", "root=LABEL=a rw", "root=/dev/sda1 ip=dhcp BOOTIF=01-52-54-00-12-34-56 rd.bootif=0")
}

// effects are the command lines in which an argument, as the last of them, changes
// what the plan does.
func effects(argument string) []string {
	var list []string
	for _, base := range effectBases() {
		without, errWithout := New(cmdline.Parse(base), nil)
		with, err := New(cmdline.Parse(base+" "+argument), nil)
		for _, p := range []*Plan{&without, &with} {
			p.Warnings, p.Notes, p.Modules.Warnings = nil, nil, nil
			p.Modules.Params = nil // every word with a dot may be one
		}
		if err == nil && (errWithout != nil || !reflect.DeepEqual(with, without)) {
			list = append(list, base)
		}
	}
	return list
}

// Every key that is done does something, another name does what the key does that it
// is taken as, and no other key does anything. A key that nobody reads is found so.
func TestKeysEffect(t *testing.T) {
	table := keyTable(Keys())
	for _, k := range table {
		does := effects(k.Example)
		state := k.State
		if k.As != "" {
			_, value, valued := strings.Cut(k.Example, "=")
			as := k.As
			if valued {
				as += "=" + value
			}
			if diff := cmp.Diff(effects(as), does); diff != "" {
				t.Errorf("%s, and what it is taken as (-%s +it):\n%s", k.Example, as, diff)
			}
			other, _ := table.lookup(k.As)
			state = other.State
		}
		if done := state == cmdline.KeyDone; done != (len(does) > 0) {
			t.Errorf("%s is listed as %q, but changes the plan of %q: what is done is read, and nothing else is", k.Example, state, does)
		}
	}
}

// Who parses a key and who knows of it must agree.
func TestKeysOfNetsetup(t *testing.T) {
	for _, own := range netsetup.Keys() {
		name := own.Name
		if k, ok := keyTable(Keys()).lookup(name); !ok || k.Name != name || k.State != cmdline.KeyDone && k.State != cmdline.KeyRefused {
			t.Errorf("%s, which netsetup reads, is %v", name, k)
		}
	}
}

// keysDoc is the part of docs/cmdline.md that the table writes.
func keysDoc() string {
	var out strings.Builder
	out.WriteString("| key | what nodisk makes of it | of |\n|---|---|---|\n")
	row := func(names []string, what, from string) {
		if from == "" {
			from = "nodisk"
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s |\n", strings.Join(names, "`, `"), what, from)
	}
	type group struct{ what, from string }
	var order []group
	members := map[group][]string{}
	for _, k := range Keys() {
		g := group{k.State.String(), k.From}
		switch {
		case k.As != "" && k.State == cmdline.KeyDone:
			g.what = "`" + k.As + "`"
		case k.State == cmdline.KeyDone:
			continue
		default:
			if k.Quiet != "" {
				g.what += ", unless " + strings.Join(strings.Fields(k.Quiet), ", ")
			}
			if k.Why != "" {
				g.what += ": " + k.Why
			}
		}
		if members[g] == nil {
			order = append(order, g)
		}
		members[g] = append(members[g], k.Name)
	}
	for _, g := range order {
		row(members[g], g.what, g.from)
	}
	return out.String()
}

// docs/cmdline.md has every key: those that are done where they belong, all others in
// a table that `go test ./init/plan -run TestKeysDoc -update` writes.
func TestKeysDoc(t *testing.T) {
	const file, begin, end = "../../docs/cmdline.md", "<!-- keys -->\n", "<!-- end of keys -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	table, tail, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no %q and %q", file, begin, end)
	}
	for _, k := range Keys() {
		if k.State == cmdline.KeyDone && k.As == "" && !strings.Contains(head+tail, "`"+k.Name) && !strings.Contains(head+tail, k.Name+"=") {
			t.Errorf("%s does not mention %s", file, k.Name)
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(head+begin+keysDoc()+end+tail), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(keysDoc(), table); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}
