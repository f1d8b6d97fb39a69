package bringup

import (
	"context"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
	"github.com/nodisk/nodisk/netsetup/link"
)

// inNamespace runs the calling test once more in a process that has a network namespace of its
// own: all threads of it, as Up needs. It reports whether this is that process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if !testenv.Inside() {
		t.Parallel()
	}
	return testenv.Namespace(t, 0)
}

// A cable is a veth pair: one end here, the other in the namespace of the
// server.
type cable struct {
	t    *testing.T
	ns   int // descriptor of the server's namespace
	peer string
	// Of a badCable: the box in its middle, and its end towards the node.
	box  *cable
	near string
}

// newCable makes the device dev here, with the address mac, and its peer with
// the address of the server. The peer is down: there is no carrier.
func newCable(t *testing.T, dev string, mac link.HardwareAddr, server netip.Prefix) *cable {
	t.Helper()
	c := &cable{t: t, peer: "srv-" + dev}
	made := make(chan int)
	go func() {
		// The thread dies with this goroutine: it is not unlocked.
		runtime.LockOSThread()
		fd := -1
		if err := unix.Unshare(unix.CLONE_NEWNET); err == nil {
			fd, _ = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		made <- fd
	}()
	if c.ns = <-made; c.ns < 0 {
		t.Fatal("no second network namespace")
	}
	t.Cleanup(func() { _ = unix.Close(c.ns) })
	attrs := netlink.NewLinkAttrs()
	attrs.Name = dev
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: c.peer, PeerNamespace: netlink.NsFd(c.ns)}
	veth.HardwareAddr = net.HardwareAddr(mac)
	if err := netlink.LinkAdd(veth); err != nil {
		testenv.Missing(t, "veth: "+err.Error())
	}
	c.in(func() {
		for name, p := range map[string]netip.Prefix{"lo": netip.MustParsePrefix("127.0.0.1/8"), c.peer: server} {
			l, err := netlink.LinkByName(name)
			if err == nil && name == "lo" {
				err = netlink.LinkSetUp(l)
			} else if err == nil {
				err = netlink.AddrAdd(l, &netlink.Addr{IPNet: ipNet(p)})
			}
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	return c
}

// in runs f in the server's namespace.
func (c *cable) in(f func()) {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := unix.Setns(c.ns, unix.CLONE_NEWNET)
		if err == nil {
			f()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		c.t.Errorf("enter namespace: %v", err)
	}
}

// plug gives the link carrier or takes it.
func (c *cable) plug(on bool) {
	c.in(func() {
		l, err := netlink.LinkByName(c.peer)
		switch {
		case err != nil:
		case on:
			err = netlink.LinkSetUp(l)
		default:
			err = netlink.LinkSetDown(l)
		}
		if err != nil {
			c.t.Errorf("plug: %v", err)
		}
	})
}

// dnsmasq starts a DHCP server at the other end, which does not ping addresses
// before it offers them. The function returned gives its log.
func (c *cable) dnsmasq(args ...string) (log func() string) {
	c.t.Helper()
	return c.dnsmasqAsIs(append([]string{"--no-ping"}, args...)...)
}

// dnsmasqAsIs has dnsmasq's own defaults, but for what keeps it in its place.
func (c *cable) dnsmasqAsIs(args ...string) (log func() string) {
	c.t.Helper()
	dir := c.t.TempDir()
	// It is ready when it has said so.
	return c.daemon("dnsmasq", "dnsmasq-base", append([]string{
		"--no-daemon", "--conf-file=/dev/null", "--port=0", "--user=root", "--group=root", "--log-dhcp",
		"--pid-file=" + filepath.Join(dir, "pid"), "--dhcp-leasefile=" + filepath.Join(dir, "leases"),
		"--interface=" + c.peer, "--bind-interfaces", "--except-interface=lo",
	}, args...), "DHCP, IP range", "DHCP, sockets bound", "router advertisement on", "DHCPv6, IP range")
}

// daemon starts a server at the other end and waits until its log has one of
// the texts of ready. It is stopped, by its pid, when the test ends. The
// function returned gives its log.
func (c *cable) daemon(program, pkg string, args []string, ready ...string) (log func() string) {
	c.t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		testenv.Missing(c.t, program+" (package "+pkg+")")
	}
	dir := c.t.TempDir()
	name := filepath.Join(dir, "log")
	file, err := os.Create(name)
	if err != nil {
		c.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Stdout, cmd.Stderr = file, file
	// Kea keeps its locks and pids there.
	cmd.Env = append(os.Environ(), "KEA_LOCKFILE_DIR="+dir, "KEA_PIDFILE_DIR="+dir)
	started := make(chan error, 1)
	c.in(func() { started <- cmd.Start() })
	if err := <-started; err != nil {
		c.t.Fatal(err)
	}
	log = func() string {
		b, _ := os.ReadFile(name)
		return string(b)
	}
	c.t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		_ = file.Close()
		if c.t.Failed() {
			c.t.Logf("%s:\n%s", program, log())
		}
	})
	eventually(c.t, program+" to start", func() bool {
		return slices.ContainsFunc(ready, func(text string) bool { return strings.Contains(log(), text) })
	})
	return log
}

// eventually waits for a condition that nothing announces, such as the log of
// another program.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-tick.C:
		}
	}
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}
