package bringup

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"strings"
	"sync"
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

// A firmware has an adapter's ports: it may take its time, or fail.
type firmware struct {
	node

	t       *testing.T
	mu      sync.Mutex
	takes   time.Duration
	fails   error
	readers map[string]int
	end     chan struct{} // the test is over
}

func (f *firmware) is(takes time.Duration, fails error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.takes, f.fails = takes, fails
}

func (f *firmware) Port(hca string, number int) (link.PortState, error) {
	f.mu.Lock()
	takes, fails := f.takes, f.fails
	if f.readers[hca]++; f.readers[hca] > 1 {
		f.t.Errorf("%s: %d readers of its port at once", hca, f.readers[hca])
	}
	f.mu.Unlock()
	if takes > 0 {
		select {
		case <-time.After(takes):
		case <-f.end:
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.readers[hca]--
	if fails != nil {
		return link.PortState{}, fails
	}
	return f.node.Port(hca, number)
}

// tryPorts is try on an adapter with such a firmware, and how long the end took.
func tryPorts(t *testing.T, line string, timeout time.Duration, f *firmware, script func()) (r result, closing time.Duration) {
	t.Helper()
	c, err := netsetup.ParseConfig(cmdline.Parse(line))
	if err != nil {
		t.Fatal(err)
	}
	f.t, f.readers, f.end = t, map[string]int{}, make(chan struct{})
	defer close(f.end)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	lines := &logLines{start: time.Now()}
	if script != nil {
		go script()
	}
	n := newRunner(c, f, slog.New(lines))
	r.state, r.err = n.up(ctx)
	r.log, r.took = lines.lines, time.Since(lines.start)
	n.close()
	closing = time.Since(lines.start) - r.took
	return r, closing
}

// An adapter whose firmware hangs holds up neither the boot from another one, nor its end.
func TestRunBesideHungFirmware(t *testing.T) {
	for name, ib := range map[string]link.Device{"no link": linktest.NoCarrier(linktest.GuidePort()), "no GUID": zeroPort()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ib.Up = true
				k := fakekernel.New(t, ib)
				answers := 0
				good := fakekernel.GoodServer(t)
				k.Servers["eth0"] = func(m *dhcpv4.DHCPv4) []byte {
					if answers++; answers < 3 {
						return nil // its time comes by the clock that the ports would stop
					}
					return good(m)
				}
				f := &firmware{node: node{k}, takes: time.Hour}
				r, closing := tryPorts(t, "ip=dhcp", 5*time.Minute, f, func() {
					<-time.After(3 * time.Second)
					k.Appear(linktest.Ethernet(7, "eth0", macA))
				})
				if r.err != nil || r.state.Device != "eth0" || r.took > 20*time.Second || closing > 0 {
					t.Errorf("%v, %v after %v, closed after another %v\n%s", r.state, r.err, r.took, closing, strings.Join(r.log, "\n"))
				}
			})
		})
	}
}

// What is said goes by what is known, and says when the firmware tells no more.
func TestRunHungFirmwareSays(t *testing.T) {
	const (
		polling = "ib0: port 1 of mlx4_0 has no link (Polling for "
		cable   = "): check the cable and that the switch is on"
		check   = ": check the adapter and its firmware"
		timeout = "set up network: "
	)
	for name, tt := range map[string]struct {
		takes time.Duration // from the start
		fails error
		at    time.Duration // when it is otherwise
		then  func(f *firmware)
		want  []string
		err   string
	}{
		"from the start": {
			takes: time.Hour,
			want: []string{
				"10s ib0: port 1 of mlx4_0 has not told its state for 10 s" + check,
				"20s ib0: port 1 of mlx4_0 has not told its state for 20 s" + check,
				"30s ib0: port 1 of mlx4_0 has not told its state for 30 s" + check,
			},
			err: "ib0: port 1 of mlx4_0 has not told its state for 35 s" + check,
		},
		"later": {
			at: 12 * time.Second, then: func(f *firmware) { f.is(time.Hour, nil) },
			want: []string{
				"10s " + polling + "10 s" + cable,
				"20s " + polling + "20 s" + cable,
				"30s " + polling + "30 s" + cable + "; port 1 of mlx4_0 has told nothing more for 10 s" + check,
			},
			err: polling + "35 s" + cable + "; port 1 of mlx4_0 has told nothing more for 15 s" + check,
		},
		"for a while": {
			takes: 12 * time.Second, at: time.Second, then: func(f *firmware) { f.is(0, nil) },
			want: []string{
				"10s ib0: port 1 of mlx4_0 has not told its state for 10 s" + check,
				"20s " + polling + "8 s" + cable,
				"30s " + polling + "18 s" + cable,
			},
			err: polling + "23 s" + cable,
		},
		"fails": {
			fails: errors.New("read state: connection timed out"),
			want: []string{
				"10s ib0: port 1 of mlx4_0: read state: connection timed out" + check,
				"20s ib0: port 1 of mlx4_0: read state: connection timed out" + check,
				"30s ib0: port 1 of mlx4_0: read state: connection timed out" + check,
			},
			err: "ib0: port 1 of mlx4_0: read state: connection timed out" + check,
		},
		"not in sysfs": {
			fails: fs.ErrNotExist,
			want: []string{
				"10s ib0: no carrier for 10 s: check the cable or the switch port",
				"20s ib0: no carrier for 20 s: check the cable or the switch port",
				"30s ib0: no carrier for 30 s: check the cable or the switch port",
			},
			err: "ib0: no carrier for 35 s",
		},
		"fresh at the end": {
			at: 34 * time.Second, then: func(f *firmware) {
				f.Lock()
				defer f.Unlock()
				f.Ports["mlx4_0/1"] = link.PortState{Phys: "LinkUp", State: "INIT"}
			},
			want: []string{"10s " + polling + "10 s" + cable, "20s " + polling + "20 s" + cable, "30s " + polling + "30 s" + cable},
			err:  "(state INIT for 0 s)",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := fakekernel.New(t, linktest.NoCarrier(linktest.GuidePort()))
				k.Ports["mlx4_0/1"] = link.PortState{Phys: "Polling", State: "DOWN"}
				f := &firmware{node: node{k}, takes: tt.takes, fails: tt.fails}
				r, closing := tryPorts(t, "ip=ib0:dhcp", 35*time.Second, f, func() {
					<-time.After(tt.at)
					if tt.then != nil {
						tt.then(f)
					}
				})
				if diff := cmp.Diff(tt.want, r.log); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if r.err == nil || !strings.HasPrefix(r.err.Error(), timeout) || !strings.Contains(r.err.Error(), tt.err) || closing > 0 {
					t.Errorf("%v, closed after another %v", r.err, closing)
				}
			})
		})
	}
}

// A question that nobody answers is asked on while the port is silent, which is said.
func TestRunHungFirmwareAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := fakekernel.New(t, linktest.WithCarrier(linktest.GuidePort()))
		f := &firmware{node: node{k}, takes: time.Hour}
		r, _ := tryPorts(t, "ip=ib0:dhcp", 35*time.Second, f, nil)
		want := "; port 1 of mlx4_0 has told nothing more for "
		if len(r.log) == 0 || !strings.Contains(r.log[len(r.log)-1], "ib0: no DHCP answer after 30 s") || !strings.Contains(r.log[len(r.log)-1], want) {
			t.Errorf("%s", strings.Join(r.log, "\n"))
		}
		k.Lock()
		defer k.Unlock()
		if asked := strings.Count(strings.Join(k.Commands, "\n"), "DISCOVER"); asked < 8 {
			t.Errorf("asked %d times\n%s", asked, strings.Join(k.Commands, "\n"))
		}
	})
}
