package bringup

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/netsetup"
)

const (
	envStorm   = "NETSETUP_TEST_STORM"
	stormNodes = 64
	// stormTries is how many DISCOVERs a node may need when nothing is lost.
	stormTries = 3
	// stormTriesPing is how many it may send while the server pings: at 0 s,
	// again when the link runs, and at 1, 3, 7, 15 and 23 s, give or take a
	// quarter.
	stormTriesPing = 7
)

// A whole rack is switched on: 64 nodes ask one dnsmasq at once, each a process
// with a network namespace of its own.
func TestUpStorm(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	if os.Getenv(envStorm) != "" {
		stormNode(t)
		return
	}
	s := newStorm(t, nil)
	s.server.dnsmasq(stormRange)
	s.check(s.run(30*time.Second), stormTries)
}

// dnsmasq pings every new address for 3 s before it offers it, and hears nobody
// meanwhile. After six in 30 s it does without (do_icmp_ping of src/dhcp.c), so
// the rack waits for some 18 s whatever it does, and sends what back-off has it
// send in that time.
func TestUpStormPing(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	s := newStorm(t, nil)
	s.server.dnsmasqAsIs(stormRange)
	s.check(s.run(50*time.Second), stormTriesPing)
}

// The same rack behind cables that lose a fifth of all frames, both ways: every third DISCOVER has no answer. In
// 50 s a node sends some 8, and one of 64 nodes had none in one run of 50; in twice the time it is one of 10000.
func TestUpStormLossy(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	s := newStorm(t, func(i int) fault { return loses(20, uint64(i)) })
	s.server.dnsmasq(stormRange)
	s.check(s.run(100*time.Second), 0)
}

const stormRange = "--dhcp-range=10.77.1.0,10.77.3.255,255.255.0.0,1h"

// A storm is a bridge with a server, and a cable for each node.
type storm struct {
	t      *testing.T
	server *cable
	middle int // where the boxes of bad cables are
	fault  func(i int) fault
}

func newStorm(t *testing.T, f func(i int) fault) *storm {
	t.Helper()
	s := &storm{t: t, server: &cable{t: t, ns: newNamespace(t), peer: "br0"}, fault: f}
	if f != nil {
		s.middle = newNamespace(t)
	}
	var err error
	s.server.in(func() {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = s.server.peer
		bridge := &netlink.Bridge{LinkAttrs: attrs}
		if err = netlink.LinkAdd(bridge); err == nil {
			err = netlink.AddrAdd(bridge, &netlink.Addr{IPNet: ipNet(netip.MustParsePrefix("10.77.0.1/16"))})
		}
		if err == nil {
			err = netlink.LinkSetUp(bridge)
		}
	})
	if err != nil {
		testenv.Missing(t, "bridge: "+err.Error())
	}
	return s
}

// A stormResult is what became of one node.
type stormResult struct {
	addr                string
	discovers, requests int
	took                time.Duration
	err                 error
}

// run starts the nodes, connects them, and lets them all go at once.
func (s *storm) run(timeout time.Duration) []stormResult {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), timeout+20*time.Second)
	defer cancel()
	held, release, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = held.Close() }()
	var (
		results = make([]stormResult, stormNodes)
		ready   sync.WaitGroup
		done    sync.WaitGroup
	)
	for i := range stormNodes {
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestUpStorm$", "-test.timeout=2m")
		cmd.Env = append(os.Environ(), envStorm+"="+timeout.String(), "GOMAXPROCS=1")
		// No Pdeathsig: it comes when the thread ends that started the node, and
		// threads of namespaces end. The pipe's end and the time let it go, too.
		cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET}
		cmd.Stdin = held
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			s.t.Fatal(err)
		}
		ready.Add(1)
		done.Go(func() {
			var once sync.Once
			results[i].err = results[i].read(out, func() { once.Do(ready.Done) })
			once.Do(ready.Done)
			if err := cmd.Wait(); err != nil && results[i].err == nil {
				results[i].err = err
			}
		})
		s.connect(i, cmd.Process.Pid)
	}
	ready.Wait()
	_ = release.Close()
	done.Wait()
	return results
}

// read reads what a node says.
func (r *stormResult) read(out io.Reader, ready func()) error {
	var said []string
	for lines := bufio.NewScanner(out); lines.Scan(); {
		switch line := lines.Text(); {
		case line == "storm: ready":
			ready()
		case strings.HasPrefix(line, "storm: "):
			if _, err := fmt.Sscanf(line, "storm: %s %d %d %d", &r.addr, &r.discovers, &r.requests, &r.took); err != nil {
				return fmt.Errorf("%q: %w", line, err)
			}
		default:
			said = append(said, line)
		}
	}
	if r.addr == "" {
		return fmt.Errorf("the node says %q", said)
	}
	return nil
}

// connect makes eth0 of a node and its cable to the bridge.
func (s *storm) connect(i, pid int) {
	s.t.Helper()
	port := fmt.Sprintf("port%d", i)
	mac := []byte{0x52, 0x54, 0, 0x64, 0, byte(i)}
	var err error
	// add makes a veth from here to there.
	add := func(name, peer string, to any, mac []byte, master bool) {
		if err != nil {
			return
		}
		attrs := netlink.NewLinkAttrs()
		attrs.Name = name
		veth := &netlink.Veth{LinkAttrs: attrs, PeerName: peer, PeerNamespace: to, PeerHardwareAddr: mac}
		if err = netlink.LinkAdd(veth); err != nil || !master {
			return
		}
		var bridge netlink.Link
		if bridge, err = netlink.LinkByName(s.server.peer); err == nil {
			err = netlink.LinkSetMaster(veth, bridge)
		}
		if err == nil {
			err = netlink.LinkSetUp(veth)
		}
	}
	if s.fault == nil {
		s.server.in(func() { add(port, "eth0", netlink.NsPid(pid), mac, true) })
	} else {
		near, far := fmt.Sprintf("near%d", i), fmt.Sprintf("far%d", i)
		box := &cable{t: s.t, ns: s.middle}
		box.in(func() { add(near, "eth0", netlink.NsPid(pid), mac, false) })
		s.server.in(func() { add(port, far, netlink.NsFd(s.middle), nil, true) })
		if err == nil {
			b := &badCable{cable: &cable{t: s.t, ns: s.server.ns, peer: port, box: box, near: near}, middle: s.middle, fault: s.fault(i)}
			b.start(box, far)
		}
	}
	if err != nil {
		s.t.Fatalf("connect node %d: %v", i, err)
	}
}

// check wants a lease for everybody, each another one, and no node that needed
// more than so many DISCOVERs (0: any number).
func (s *storm) check(results []stormResult, tries int) {
	s.t.Helper()
	holders := map[string]int{}
	byTries := map[int]int{}
	var took []time.Duration
	for i, r := range results {
		if r.err != nil {
			s.t.Errorf("node %d: %v", i, r.err)
			continue
		}
		if other, ok := holders[r.addr]; ok {
			s.t.Errorf("nodes %d and %d have the same address %s", other, i, r.addr)
		}
		holders[r.addr] = i
		byTries[r.discovers]++
		took = append(took, r.took)
		if tries > 0 && r.discovers > tries {
			s.t.Errorf("node %d needed %d DISCOVERs and %d REQUESTs, %v", i, r.discovers, r.requests, r.took)
		}
	}
	slices.Sort(took)
	if len(took) > 0 {
		s.t.Logf("%d leases; first, median and last after %v, %v, %v; nodes by DISCOVERs sent: %v",
			len(holders), took[0], took[len(took)/2], took[len(took)-1], byTries)
	}
	if len(holders) != stormNodes {
		s.t.Errorf("%d leases of %d", len(holders), stormNodes)
	}
}

// stormNode is a node: it waits for its start, brings its network up and says
// what came of it.
func stormNode(t *testing.T) {
	t.Helper()
	timeout, err := time.ParseDuration(os.Getenv(envStorm))
	if err != nil {
		t.Fatal(err)
	}
	c, err := netsetup.ParseConfig(cmdline.Parse("ip=eth0:dhcp"))
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("storm: ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	buf := &lockedBuffer{}
	s, err := Up(ctx, c, slog.New(slog.NewTextHandler(buf, &slog.HandlerOptions{Level: slog.LevelDebug})))
	if err != nil || len(s.Addrs) != 1 {
		t.Fatalf("%v, %v\n%s", s, err, buf)
	}
	fmt.Printf("storm: %s %d %d %d\n", s.Addrs[0], strings.Count(buf.String(), "DISCOVER sent"), strings.Count(buf.String(), "REQUEST sent"), s.Took)
}
