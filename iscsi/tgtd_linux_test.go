package iscsi

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/testenv"
)

const inNamespace = "NODISK_TEST_ISCSI_NAMESPACE"

func needsProgram(t *testing.T, names ...string) {
	t.Helper()
	for _, name := range names {
		if _, err := exec.LookPath(name); err != nil {
			testenv.Missing(t, fmt.Sprintf("program %s (Debian package tgt)", name))
		}
	}
}

// A tgtd is a running target daemon.
type tgtd struct {
	control int
	socket  string
	process *os.Process
}

func (d tgtd) admin(t *testing.T, args ...string) error {
	t.Helper()
	c := exec.CommandContext(t.Context(), "tgtadm", append([]string{"-C", strconv.Itoa(d.control), "--lld", "iscsi"},
		args...)...)
	c.Env = append(os.Environ(), "TGT_IPC_SOCKET="+d.socket)
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("tgtadm %v: %w: %s", args, err, out)
	}
	return nil
}

func (d tgtd) must(t *testing.T, line string) {
	t.Helper()
	if err := d.admin(t, strings.Fields(line)...); err != nil {
		t.Fatal(err)
	}
}

// startTgtd runs a daemon with one target of one disk, LUN 1.
func startTgtd(t *testing.T, control int, portal Portal, target string) tgtd {
	t.Helper()
	dir := t.TempDir()
	d := tgtd{control: control, socket: filepath.Join(dir, "s")}
	var out strings.Builder
	c := exec.Command("tgtd", "-f", "-C", strconv.Itoa(control), "--iscsi",
		"portal="+portal.String()) //nolint:noctx // ended by its id below
	c.Env = append(os.Environ(), "TGT_IPC_SOCKET="+d.socket)
	c.Stdout, c.Stderr = &out, &out
	c.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: unix.SIGKILL}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	d.process = c.Process
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		if t.Failed() {
			t.Logf("tgtd: %s", &out)
		}
	})
	ready := time.NewTicker(20 * time.Millisecond)
	defer ready.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for d.admin(t, "--mode", "system", "--op", "show") != nil {
		select {
		case <-ready.C:
		case <-ctx.Done():
			t.Fatalf("tgtd does not answer: %s", &out)
		}
	}
	disk := filepath.Join(dir, "disk")
	if err := os.WriteFile(disk, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(disk, 8<<20); err != nil {
		t.Fatal(err)
	}
	d.must(t, "--mode target --op new --tid 1 --targetname "+target)
	d.must(t, "--mode logicalunit --op new --tid 1 --lun 1 --backing-store "+disk)
	d.must(t, "--mode target --op bind --tid 1 --initiator-address ALL")
	return d
}

// TestTgtd logs in to a real target. It runs itself again in a network
// namespace of its own, where only loopback exists.
func TestTgtd(t *testing.T) {
	if os.Getenv(inNamespace) == "" {
		needsProgram(t, "tgtd", "tgtadm")
		if os.Getuid() != 0 {
			testenv.Missing(t, "root (for a network namespace)")
		}
		c := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestTgtd$",
			"-test.v="+strconv.FormatBool(testing.Verbose()))
		c.Env = append(os.Environ(), inNamespace+"=1")
		c.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWNET, Pdeathsig: unix.SIGKILL}
		out, err := c.CombinedOutput()
		t.Logf("in the namespace:\n%s", out)
		if err != nil {
			t.Error(err)
		}
		return
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	const (
		first  = "iqn.2026-01.test:first"
		second = "iqn.2026-01.test:second"
	)
	portal, other := Portal{"127.0.0.1", 43260}, Portal{"127.0.0.2", 43261}
	d := startTgtd(t, 91, portal, first)
	startTgtd(t, 92, other, second)

	logIn := func(t *testing.T, name string, p Portal, change func(*Options)) (*Connection, error) {
		t.Helper()
		o := testOptions()
		if change != nil {
			change(&o)
		}
		c, err := Login(t.Context(), Target{Name: name, Portal: p}, o, nil)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
		}
		return c, err
	}
	t.Run("login", func(t *testing.T) {
		c, err := logIn(t, first, portal, nil)
		if err != nil {
			t.Fatal(err)
		}
		// tgtd sends no MaxRecvDataSegmentLength: 8192 holds.
		if n := c.agreed; n.maxXmit != 8192 || !n.initialR2T || n.maxBurst != 262144 || n.firstBurst != 65536 ||
			n.headerDigest || n.rounds != 1 {
			t.Errorf("%+v", n)
		}
		t.Logf("took %v: %+v", c.Took, c.agreed)
	})
	t.Run("digests", func(t *testing.T) {
		d.must(t, "--mode target --op update --tid 1 --name HeaderDigest --value CRC32C")
		c, err := logIn(t, first, portal, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !c.agreed.headerDigest || c.agreed.dataDigest {
			t.Errorf("%+v", c.agreed)
		}
		// tgtd's wish is none that it insists on.
		if c, err = logIn(t, first, portal, func(o *Options) { o.HeaderDigest = DigestNone }); err != nil ||
			c.agreed.headerDigest {
			t.Errorf("%v, %v", c, err)
		}
		// Without the wish it does not do digests.
		d.must(t, "--mode target --op update --tid 1 --name HeaderDigest --value None")
		if _, err := logIn(t, first, portal, func(o *Options) { o.HeaderDigest = DigestRequired }); err == nil ||
			!strings.Contains(err.Error(), "negotiate HeaderDigest") {
			t.Errorf("%v", err)
		}
	})
	t.Run("unknown target", func(t *testing.T) {
		_, err := logIn(t, "iqn.2026-01.test:nobody", portal, nil)
		status, ok := errors.AsType[*StatusError](err)
		if !ok || status.Class != 2 || status.Detail != 3 ||
			!strings.Contains(err.Error(), "not found on portal 127.0.0.1:43260 (status 0203)") {
			t.Errorf("%v", err)
		}
	})
	t.Run("wrong port", func(t *testing.T) {
		_, err := logIn(t, first, Portal{"127.0.0.1", 43262}, nil)
		if !errors.Is(err, syscall.ECONNREFUSED) || !strings.Contains(err.Error(), "nothing listens on port 43262") {
			t.Errorf("%v", err)
		}
	})
	t.Run("no route", func(t *testing.T) {
		_, err := logIn(t, first, Portal{"192.0.2.1", 3260}, nil)
		if !errors.Is(err, syscall.ENETUNREACH) || !strings.Contains(err.Error(), "check address, gateway") {
			t.Errorf("%v", err)
		}
	})
	t.Run("black hole", func(t *testing.T) {
		link := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "hole0"}, PeerName: "hole1"}
		if err := netlink.LinkAdd(link); err != nil {
			testenv.Missing(t, fmt.Sprintf("veth: %v", err))
		}
		defer func() { _ = netlink.LinkDel(link) }()
		for _, name := range []string{"hole0", "hole1"} {
			l, err := netlink.LinkByName(name)
			if err != nil {
				t.Fatal(err)
			}
			if err := netlink.LinkSetUp(l); err != nil {
				t.Fatal(err)
			}
		}
		if err := netlink.AddrAdd(link,
			&netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 2), Mask: net.CIDRMask(24, 32)}}); err != nil {
			t.Fatal(err)
		}
		_, err := logIn(t, first, Portal{"192.0.2.1", 3260}, func(o *Options) {
			o.LoginTimeout = 200 * time.Millisecond
		})
		want := "connect to portal 192.0.2.1:3260: timed out after 200ms: no answer"
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	})
	t.Run("target hangs", func(t *testing.T) {
		if err := d.process.Signal(unix.SIGSTOP); err != nil {
			t.Fatal(err)
		}
		defer func() { _ = d.process.Signal(unix.SIGCONT) }()
		_, err := logIn(t, first, portal, func(o *Options) { o.LoginTimeout = 200 * time.Millisecond })
		want := "receive login response: no answer from the target: timed out after 200ms"
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	})
	t.Run("no such device", func(t *testing.T) {
		_, err := Login(t.Context(), Target{Name: first, Portal: portal, NetDev: "eth9"}, testOptions(), nil)
		if !errors.Is(err, syscall.ENODEV) || !strings.Contains(err.Error(), "check the network device") {
			t.Errorf("%v", err)
		}
	})
	t.Run("by device", func(t *testing.T) {
		c, err := Login(t.Context(), Target{Name: first, Portal: portal, NetDev: "lo"}, testOptions(), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
	})
	t.Run("first that answers wins", func(t *testing.T) {
		c, err := LoginAny(t.Context(), []Target{
			{Name: first, Portal: Portal{"192.0.2.1", 3260}},
			{Name: "iqn.2026-01.test:nobody", Portal: portal},
			{Name: second, Portal: other},
		}, testOptions(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		if c.Target.Name != second {
			t.Errorf("logged in to %s", c.Target.Name)
		}
	})
	t.Run("account wanted", func(t *testing.T) {
		d.must(t, "--mode account --op new --user inuser --password insecret12345")
		d.must(t, "--mode account --op bind --tid 1 --user inuser")
		defer d.must(t, "--mode account --op unbind --tid 1 --user inuser")
		_, err := logIn(t, first, portal, nil)
		if status, ok := errors.AsType[*StatusError](err); !ok || status.Class != 2 ||
			!strings.Contains(err.Error(), "CHAP") {
			t.Errorf("%v", err)
		}
	})
	t.Run("redirection", func(t *testing.T) {
		d.must(t, "--mode target --op update --tid 1 --name RedirectAddress --value 127.0.0.2")
		d.must(t, "--mode target --op update --tid 1 --name RedirectPort --value 43261")
		d.must(t, "--mode target --op update --tid 1 --name RedirectReason --value Temporary")
		// The second daemon has no such target: that it is asked, and says so
		// under its own address, is the proof.
		_, err := logIn(t, first, portal, nil)
		if err == nil || !strings.Contains(err.Error(), "not found on portal 127.0.0.2:43261 (where 127.0.0.1:43260 "+
			"sent the login)") {
			t.Errorf("%v", err)
		}
	})
}
