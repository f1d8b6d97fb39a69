package bringup

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/insomniacslk/dhcp/dhcpv4"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup"
	"github.com/nodisk/nodisk/netsetup/bringup/fakekernel"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// mtusOf are the commands that set the MTU of the device.
func mtusOf(commands []string, dev string) []string {
	return slices.DeleteFunc(slices.Clone(commands), func(s string) bool { return !strings.HasPrefix(s, "link set "+dev+" mtu ") })
}

func secondPort() link.Device {
	d := linktest.GuidePort()
	d.Index, d.Name, d.Addr, d.Port = 6, "ib1", linktest.GuideAddr[:19]+"\x3a", 2
	return d
}

// watched runs Up, which has a minute, and then Keep, all beside the script; what is
// told of the last is in last.
func watched(t *testing.T, line string, during time.Duration, k *fakekernel.Kernel, script func()) result {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	lines := &logLines{start: time.Now()}
	r := newRunner(c, node{k}, slog.New(lines))
	ended := make(chan struct{})
	go func() {
		script()
		close(ended)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s, err := r.up(ctx)
	took := time.Since(lines.start)
	if err == nil {
		on, stop := context.WithTimeout(t.Context(), during)
		err = r.keep(on)
		stop()
	}
	<-ended
	r.close()
	synctest.Wait()
	k.Lock()
	commands := slices.Clone(k.Commands)
	k.Unlock()
	return result{s, err, commands, lines.lines, took, r.result()}
}

// ibFabric is a kernel with IPoIB ports of those largest MTUs that have not joined.
func ibFabric(t *testing.T, most ...int) (*fakekernel.Kernel, *fakekernel.Rules) {
	k := fakekernel.New(t)
	rules := fakekernel.UnderRules(k)
	for i, d := range []link.Device{linktest.GuidePort(), secondPort()}[:len(most)] {
		k.Ports[fmt.Sprintf("%s/%d", d.HCA, d.Port)] = active()
		rules.Port(d, most[i], false)
	}
	for _, name := range []string{"ib0", "bond0", "ib0.8001"} {
		k.Servers[name] = fakekernel.GoodServer(t)
	}
	return k, rules
}

const ibBond = "bond=bond0:ib0,ib1:mode=active-backup ip=bond0:dhcp nodisk.dhcp.clientid=guid"

// The ports show the MTU of the adapter until they have joined the broadcast group:
// the bond has that of the group then, and what the State says is what the kernel has.
func TestRunBondMTU(t *testing.T) {
	for name, tt := range map[string]struct {
		line   string
		most   []int
		groups []int
		want   int
		log    []string
	}{
		"2K group":      {ibBond, []int{4092, 4092}, []int{2044, 2044}, 2044, nil},
		"4K group":      {ibBond, []int{4092, 4092}, []int{4092, 4092}, 4092, nil},
		"one group 2K":  {ibBond, []int{4092, 4092}, []int{4092, 2044}, 2044, nil},
		"2K and 4K":     {ibBond, []int{2044, 4092}, []int{2044, 2044}, 2044, nil},
		"4K and 2K":     {ibBond, []int{4092, 2044}, []int{2044, 2044}, 2044, nil},
		"no second":     {ibBond, []int{4092, 4092}, []int{2044}, 2044, nil},
		"one that asks": {strings.Replace(ibBond, ":dhcp", ":dhcp:2000", 1), []int{4092, 4092}, []int{2044, 2044}, 2000, nil},
		"asks too much": {strings.Replace(ibBond, ":dhcp", ":dhcp:4092", 1), []int{4092, 4092}, []int{2044, 2044}, 2044, []string{
			"1s bond0: the MTU is 2044 instead of 4092: its ports have no more",
		}},
		"its word asks": {strings.Replace(ibBond, "backup", "backup:4092", 1), []int{4092, 4092}, []int{2044, 2044}, 2044, []string{
			"1s bond0: the MTU is 2044 instead of 4092: its ports have no more",
		}},
		"its word asks of a 2K adapter": {strings.Replace(ibBond, "backup", "backup:4092", 1), []int{2044, 2044}, []int{2044, 2044}, 2044, []string{
			"0s ip link set bond0 mtu 4092: invalid argument: the MTU of ib0, ib1 stays 2044",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t, tt.most...)
				r := watched(t, tt.line, 5*time.Second, k, func() {
					<-time.After(time.Second)
					for i, mtu := range tt.groups {
						rules.Join([]string{"ib0", "ib1"}[i], mtu)
					}
				})
				bond, _ := rules.Device("bond0")
				if r.err != nil || bond.MTU != tt.want || r.last.MTU != tt.want {
					t.Errorf("%v, the bond has %d, the State says %d, want %d\n%q", r.err, bond.MTU, r.last.MTU, tt.want, r.commands)
				}
				log := slices.DeleteFunc(r.log, func(s string) bool { return !strings.Contains(s, "MTU") })
				if diff := cmp.Diff(tt.log, slices.Clip(append([]string(nil), log...))); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The kernel raises a port for nobody: the bond follows what is made of the port, and
// not only downwards.
func TestRunBondMTURises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, rules := ibFabric(t, 4092)
		r := watched(t, "bond=bond0:ib0:mode=1 ip=bond0:dhcp nodisk.dhcp.clientid=guid", 30*time.Second, k, func() {
			<-time.After(time.Second)
			rules.Join("ib0", 2044)
			<-time.After(10 * time.Second)
			rules.Join("ib0", 4092) // the subnet manager has made the group anew
			if err := rules.LinkMTU("ib0", 4092); err != nil {
				t.Error(err)
			}
		})
		if got := mtusOf(r.commands, "bond0"); r.err != nil || r.last.MTU != 4092 ||
			!slices.Equal(got, []string{"link set bond0 mtu 4092", "link set bond0 mtu 2044", "link set bond0 mtu 4092"}) {
			t.Errorf("%v, MTU %d, %q", r.err, r.last.MTU, got)
		}
	})
}

// One command line for adapters that have connected mode and those that have not, in a
// bond and alone: each takes what it can have.
func TestRunConnected(t *testing.T) {
	const refused = "0s ip link set ib0 type ipoib mode connected: invalid argument: the mode stays as it is"
	for name, tt := range map[string]struct {
		line string
		cm   bool
		want int
		log  []string
	}{
		"alone, has it":     {"nodisk.ib.mode=connected ip=ib0:dhcp:65520", true, 65520, nil},
		"alone, has it not": {"nodisk.ib.mode=connected ip=ib0:dhcp:65520", false, 2044, []string{refused + "; ip link set ib0 mtu 65520: invalid argument: the MTU of ib0 stays 4092"}},
		"without MTU":       {"nodisk.ib.mode=connected ip=ib0:dhcp", false, 2044, []string{refused}},
		"static":            {"nodisk.ib.mode=connected ip=10.0.0.5:::24::ib0:none:65520", false, 2044, []string{refused + "; ip link set ib0 mtu 65520: invalid argument: the MTU of ib0 stays 4092"}},
		"a bond has it":     {"nodisk.ib.mode=connected bond=bond0:ib0:mode=1 ip=bond0:dhcp", true, 65520, nil},
		"a bond has it not": {"nodisk.ib.mode=connected bond=bond0:ib0:mode=1 ip=bond0:dhcp", false, 2044, []string{refused}},
		"a bond that asks":  {"nodisk.ib.mode=connected bond=bond0:ib0:mode=1:65520 ip=bond0:dhcp", false, 2044, []string{refused + "; ip link set bond0 mtu 65520: invalid argument: the MTU of ib0 stays 4092"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t)
				k.Ports["mlx4_0/1"] = active()
				rules.Port(linktest.GuidePort(), 4092, tt.cm)
				r := watched(t, tt.line+" nodisk.dhcp.clientid=guid", 10*time.Second, k, func() {
					<-time.After(time.Second)
					rules.Join("ib0", 2044)
				})
				d, _ := rules.Device(r.state.Device)
				if r.err != nil || d.MTU != tt.want || r.last.MTU != tt.want {
					t.Errorf("%v, %s has %d, the State says %d, want %d\n%q", r.err, d.Name, d.MTU, r.last.MTU, tt.want, r.commands)
				}
				log := slices.DeleteFunc(slices.Clone(r.log), func(s string) bool { return strings.Contains(s, "client-id") })
				if diff := cmp.Diff(strings.Join(tt.log, "\n"), strings.Join(log, "\n")); diff != "" {
					t.Errorf("log (-want +got):\n%s", diff)
				}
			})
		})
	}
}

// The kernel answers that it has set an MTU, and gives that of the group: the State
// says what is, and a sentence what is not.
func TestRunMTUOfFabric(t *testing.T) {
	const told = "1s ib0: the MTU is 2044 instead of 4092: the subnet manager has made the broadcast group of P_Key 0xffff so"
	for line, option26 := range map[string]bool{"ip=ib0:dhcp:4092": false, "ip=10.0.0.5:::24::ib0:none:4092": false, "ip=ib0:dhcp": true} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t, 4092)
				if option26 {
					k.Servers["ib0"] = fakekernel.Leases(t, "10.77.0.23/24", func(m *dhcpv4.DHCPv4) {
						m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x0f, 0xfc}))
					})
				}
				r := watched(t, line+" nodisk.dhcp.clientid=guid", 20*time.Second, k, func() {
					<-time.After(time.Second)
					rules.Join("ib0", 2044)
				})
				warned := slices.DeleteFunc(slices.Clone(r.log), func(s string) bool { return s != told })
				if r.err != nil || r.state.MTU != 2044 || len(warned) != 1 {
					t.Errorf("%v, MTU %d, %q", r.err, r.state.MTU, r.log)
				}
			})
		})
	}
}

// Ports that refuse the same are one line, which names them, in a bond and as
// interfaces of their own; one that comes later has another.
func TestRunRefusedTogether(t *testing.T) {
	const mode = "type ipoib mode connected: invalid argument: the mode stays as it is"
	for line, want := range map[string][]string{
		"bond=bond0:ib0,ib1:mode=1:65520 ip=bond0:dhcp": {
			"0s ip link set ib0, ib1 " + mode + "; ip link set bond0 mtu 65520: invalid argument: the MTU of ib0, ib1 stays 4092",
			"6s ip link set ib2 " + mode + "; ip link set bond0 mtu 65520: invalid argument: the MTU of ib2 stays 2044",
		},
		"ip=ib0:dhcp:65520 ip=ib1:dhcp:65520 ip=ib2:dhcp": {
			"0s ip link set ib0, ib1 " + mode + "; ip link set ib0, ib1 mtu 65520: invalid argument: the MTU of ib0, ib1 stays 4092",
			"6s ip link set ib2 " + mode,
		},
	} {
		t.Run(line, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t, 4092, 4092)
				for i, dev := range []string{"ib0", "ib1", "ib2"} {
					k.Servers[dev] = fakekernel.Leases(t, fmt.Sprintf("10.77.%d.23/24", i))
				}
				third := secondPort()
				third.Index, third.Name, third.Addr, third.HCA = 7, "ib2", linktest.GuideAddr[:19]+"\x3b", "mlx4_1"
				r := watched(t, "nodisk.ib.mode=connected nodisk.dhcp.clientid=guid "+strings.Replace(line, "ib0,ib1", "ib0,ib1,ib2", 1), 20*time.Second, k, func() {
					<-time.After(time.Second)
					rules.Join("ib0", 2044)
					rules.Join("ib1", 2044)
					<-time.After(5 * time.Second)
					rules.Port(third, 4092, false)
					rules.Join("ib2", 2044)
				})
				log := slices.DeleteFunc(slices.Clone(r.log), func(s string) bool { return !strings.Contains(s, "invalid argument") })
				if diff := cmp.Diff(want, log); diff != "" || r.err != nil {
					t.Errorf("%v, (-want +got):\n%s", r.err, diff)
				}
			})
		})
	}
}

// An MTU for which the device is busy is set again; one that is busy forever has what
// it has, and that is told.
func TestRunMTUBusy(t *testing.T) {
	for name, tt := range map[string]struct {
		line, device string
		command      string
		want, ever   int // the MTU, and that where the device is busy for ever
	}{
		"alone": {"ip=ib0:dhcp:2000", "ib0", "link set ib0 mtu 2000", 2000, 2044},
		"bond":  {"bond=bond0:ib0:mode=1 ip=bond0:dhcp", "bond0", "link set bond0 mtu 2044", 2044, 4092},
	} {
		for _, ever := range []bool{false, true} {
			t.Run(fmt.Sprint(name, " ", ever), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					k, rules := ibFabric(t, 4092)
					want, most := tt.want, 2
					if ever {
						k.Refuse = map[string]error{"ip " + tt.command: syscall.EBUSY}
						want, most = tt.ever, 12
					} else {
						k.Fail["ip "+tt.command] = syscall.EAGAIN
					}
					r := watched(t, tt.line+" nodisk.dhcp.clientid=guid", time.Minute, k, func() {
						<-time.After(20 * time.Second)
						rules.Join("ib0", 2044)
					})
					d, _ := rules.Device(tt.device)
					if n := timesOf(r.commands, tt.command); r.err != nil || d.MTU != want || n < 2 || n > most {
						t.Errorf("%v, MTU %d, want %d, set %d times\n%s\n%s", r.err, d.MTU, want, n, strings.Join(r.commands, "\n"), strings.Join(r.log, "\n"))
					}
					stays := map[string]string{
						"alone": ": the MTU of ib0 stays", "bond": "bond0: the MTU stays 4092, and what carries its packets has 2044: larger ones are lost",
					}[name]
					if told := strings.Contains(strings.Join(r.log, "\n"), stays); told != ever {
						t.Errorf("%s", strings.Join(r.log, "\n"))
					}
				})
			})
		}
	}
}

// A server that gives a bond of InfiniBand more than the group of its ports has: the
// kernel takes it, and by when Up returns, and all may end, it is less again.
func TestRunBondMTULeased(t *testing.T) {
	for name, during := range map[string]time.Duration{"kept": 5 * time.Second, "closed at once": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k, rules := ibFabric(t, 4092, 4092)
				k.Servers["bond0"] = fakekernel.Leases(t, "10.77.0.23/24", func(m *dhcpv4.DHCPv4) {
					m.UpdateOption(dhcpv4.OptGeneric(dhcpv4.OptionInterfaceMTU, []byte{0x0f, 0xfc}))
				})
				script := func() {
					<-time.After(time.Second)
					rules.Join("ib0", 2044)
					rules.Join("ib1", 2044)
				}
				var r result
				if during == 0 {
					r = try(t, ibBond, time.Minute, k, script)
				} else {
					r = watched(t, ibBond, during, k, script)
				}
				bond, _ := rules.Device("bond0")
				if r.err != nil || bond.MTU != 2044 || r.state.MTU != 2044 || r.last.MTU != 2044 {
					t.Errorf("%v, the bond has %d, the State says %d and then %d\n%q", r.err, bond.MTU, r.state.MTU, r.last.MTU, r.commands)
				}
				if text := strings.Join(r.log, "\n"); strings.Count(text, "bond0: the MTU is 2044 instead of 4092: its ports have no more") != 1 {
					t.Error(text)
				}
			})
		})
	}
}
