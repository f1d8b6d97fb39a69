package integration

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/tool"
	"github.com/nodisk/nodisk/integration/transcript"
)

// A daemon is a tgtd of a test, which it can end and start again.
type daemon struct {
	port    int
	process *tool.Process
}

// lun is a logical unit: the number and the file behind it.
type lun struct {
	number int
	file   string
}

// serve starts the daemon with one target.
func (d *daemon) serve(ctx context.Context, iqn string, luns ...lun) error {
	control := strconv.Itoa(d.port)
	var err error
	if d.process, err = tool.Start(context.WithoutCancel(ctx), tool.Tgtd(), nil, "-f", "-C", control, "--iscsi",
		"portal=0.0.0.0:"+control); err != nil {
		return err
	}
	admin := func(ctx context.Context, line string) error {
		return tool.Tgtadm().Run(ctx, strings.Fields("-C "+control+" --lld iscsi "+line)...)
	}
	if err := tool.Poll(ctx, "tgtd's control socket", func(ctx context.Context) error {
		return admin(ctx, "--op show --mode sys")
	}); err != nil {
		return err
	}
	lines := []string{"--op new --mode target --tid 1 -T " + iqn}
	for _, l := range luns {
		lines = append(lines, fmt.Sprintf("--op new --mode logicalunit --tid 1 --lun %d -b %s", l.number, l.file))
	}
	for _, line := range append(lines, "--op bind --mode target --tid 1 -I ALL") {
		if err := admin(ctx, line); err != nil {
			return err
		}
	}
	return nil
}

func newDaemon(t *testing.T, port int, iqn string, luns ...lun) *daemon {
	t.Helper()
	d := &daemon{port: port}
	t.Cleanup(func() { d.process.Stop() })
	if err := d.serve(t.Context(), iqn, luns...); err != nil {
		t.Fatal(err)
	}
	return d
}

// emptyDisk is a disk that nobody has written to.
func emptyDisk(t *testing.T, name string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(file, 16<<20); err != nil {
		t.Fatal(err)
	}
	return file
}

// slowly passes connections on from one port to another, after a second: the
// portal that loses every race.
func slowly(t *testing.T, from, to int) {
	t.Helper()
	var lc net.ListenConfig
	l, err := lc.Listen(t.Context(), "tcp", "0.0.0.0:"+strconv.Itoa(from))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		all.Wait()
	})
	pass := func(c net.Conn) {
		defer func() { _ = c.Close() }()
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
		var d net.Dialer
		up, err := d.DialContext(ctx, "tcp", "127.0.0.1:"+strconv.Itoa(to))
		if err != nil {
			return
		}
		stop := context.AfterFunc(ctx, func() { _ = c.Close() })
		defer stop()
		all.Go(func() {
			_, _ = io.Copy(up, c)
			_ = up.Close()
		})
		_, _ = io.Copy(c, up)
	}
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { pass(c) })
		}
	})
}

// told are the root's lines that begin with a word.
func told(res lab.BootResult, word string) []string {
	var lines []string
	for _, l := range res.Root.Lines {
		if rest, ok := strings.CutPrefix(l, word+" "); ok {
			lines = append(lines, rest)
		}
	}
	return lines
}

// What becomes of sessions: targets that die and come back, workers that start
// again, several targets, portals and networks.
func TestBootSessions(t *testing.T) {
	t.Parallel()
	needs(t, lab.BootSpec{Root: lab.RootISCSI})
	l := sharedLab(t)
	disk := func(name string) string {
		file, err := l.Disk(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return file
	}
	kernel, image := filepath.Join(kernelDir(t), "vmlinuz"), buildImage(t, imageProfiles)
	boot := func(t *testing.T, s lab.BootSpec) lab.BootResult {
		t.Helper()
		s.Kernel, s.Image, s.CPUs, s.Timeout, s.Root = kernel, image, 2, 5*time.Minute, lab.RootNone
		s.Name = filepath.Base(t.Name())
		s.Log = testLogFile(s.Name)
		res, err := l.Boot(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		if !res.Reached {
			t.Fatalf("root not reached: %s; %s; the console's end:\n%s", res.Why, res.End, transcript.Tail(res.Console, 60))
		}
		return res
	}
	// The sessions of the root last; each logical unit is there once.
	check := func(t *testing.T, res lab.BootResult, disks string, sessions ...string) {
		t.Helper()
		if got := strings.Join(told(res, "disks"), "; "); got != disks {
			t.Errorf("the root has the disks %q, want %q", got, disks)
		}
		got := told(res, "session")
		slices.Sort(got)
		if strings.Join(got, "; ") != strings.Join(sessions, "; ") {
			t.Errorf("the root has the sessions %q, want %q", got, sessions)
		}
	}
	const static = "ip={client}:{server}:{gateway}:{mask}:{name}:eth0:none "

	t.Run("another-size", func(t *testing.T) {
		t.Parallel()
		takePlace(t, busy)
		// The target goes on, and its logical unit becomes another: what the kernel has
		// read of the disk, its size, is no longer so.
		const iqn = "iqn.2025-01.test.nodisk:size"
		small, filled := emptyDisk(t, "lun"), disk("size")
		if err := os.Truncate(small, 4<<20); err != nil {
			t.Fatal(err)
		}
		newDaemon(t, 3268, iqn, lun{1, small})
		admin := func(ctx context.Context, line string) error {
			return tool.Tgtadm().Run(ctx, strings.Fields("-C 3268 --lld iscsi --mode logicalunit --tid 1 --lun 1 "+
				line)...)
		}
		boot(t, lab.BootSpec{
			Static: true, Cmdline: static + "netroot=iscsi:{server}::3268:1:" + iqn + " root=LABEL={label}",
			Turns: []lab.Turn{{After: `attach \(5/7\): sda`, Do: func(ctx context.Context) error {
				if err := admin(ctx, "--op delete"); err != nil {
					return err
				}
				return admin(ctx, "--op new -b "+filled)
			}}},
		})
	})
	t.Run("target-back", func(t *testing.T) {
		t.Parallel()
		takePlace(t, waits)
		// The LUN is empty at first, and the node waits for its root on it. The target
		// dies and is back a moment later, still empty. When the boot has started
		// again, it is filled.
		const iqn = "iqn.2025-01.test.nodisk:back"
		file, filled := emptyDisk(t, "lun"), disk("back")
		d := newDaemon(t, 3261, iqn, lun{1, file})
		res := boot(t, lab.BootSpec{
			Static: true, Cmdline: static + "netroot=iscsi:{server}::3261::" + iqn + " root=LABEL={label} " +
				"nodisk.deadline=30s",
			Turns: []lab.Turn{
				{After: `attach \(5/7\): sda`, Do: func(ctx context.Context) error {
					d.process.Stop()
					return d.serve(ctx, iqn, lun{1, file})
				}},
				{After: `starting again`, Do: func(context.Context) error {
					text, err := os.ReadFile(filled)
					if err != nil {
						return err
					}
					return os.WriteFile(file, text, 0o600)
				}},
			},
		})
		if err := res.Expect(
			`attach .*LUN 1 of `+regexp.QuoteMeta(iqn)+` \(session 1\)`,
			`mount .*: connection to portal .* lost \(`,
			`attach .*LUN 1 of `+regexp.QuoteMeta(iqn)+` \(session 2\)`,
			// PID 1 ends the session before it starts a new worker.
			`gave up after 30 s`,
			`attach .*LUN 1 of `+regexp.QuoteMeta(iqn)+` \(session \d+\)`,
			`mount .*: ext4 of /dev/sd`,
		); err != nil {
			t.Error(err)
		}
		if got := told(res, "disks"); len(got) != 1 || len(strings.Fields(got[0])) != 1 {
			t.Errorf("the root has the disks %q, want one", got)
		}
		if got := told(res, "session"); len(got) != 1 || got[0] != iqn+" LOGGED_IN 86400" {
			t.Errorf("the root has the sessions %q, want one that is logged in and waits a day", got)
		}
	})
	t.Run("two-networks-static", func(t *testing.T) {
		t.Parallel()
		takePlace(t, busy)
		// Of the two portals of b the quick one does not have the LUN; c is not there.
		const a, b, c = "iqn.2025-01.test.nodisk:a", "iqn.2025-01.test.nodisk:b", "iqn.2025-01.test.nodisk:c"
		newDaemon(t, 3262, a, lun{1, emptyDisk(t, "a")})
		newDaemon(t, 3263, b, lun{1, emptyDisk(t, "b")})
		newDaemon(t, 3264, b, lun{1, emptyDisk(t, "b")}, lun{2, disk("b")})
		slowly(t, 3265, 3264)
		res := boot(t, lab.BootSpec{
			Static: true, Second: true, Cmdline: static + "ip={client1}:::{mask}::eth1:none root=LABEL={label} " +
				"netroot=iscsi:{server}::3262::" + a + " netroot=iscsi:{server}::3269::" + c +
				" netroot=iscsi:{server1}::3263:2:" + b + " netroot=iscsi:{server1}::3265:2:" + b,
		})
		if err := res.Expect(`the boot goes on without a target: connect to portal .*:3269`,
			`LUN 2 of `+regexp.QuoteMeta(b)); err != nil {
			t.Error(err)
		}
		check(t, res, "sda sdb", a+" LOGGED_IN 86400", b+" LOGGED_IN 86400")
	})
	t.Run("two-networks-dhcp", func(t *testing.T) {
		t.Parallel()
		takePlace(t, busy)
		// No LUN is written, and the root is the second disk of the second target.
		const a, b = "iqn.2025-01.test.nodisk:one", "iqn.2025-01.test.nodisk:two"
		newDaemon(t, 3266, a, lun{1, emptyDisk(t, "a")})
		newDaemon(t, 3267, b, lun{1, emptyDisk(t, "b")}, lun{2, disk("two")})
		res := boot(t, lab.BootSpec{
			Second: true, RootPath: "-", Cmdline: "ip=eth0:dhcp ip=eth1:dhcp bootdev=eth0 root=LABEL={label} " +
				"netroot=iscsi:{server}::3266::" + a + " netroot=iscsi:{server1}::3267::" + b,
		})
		check(t, res, "sda sdb sdc", a+" LOGGED_IN 86400", b+" LOGGED_IN 86400")
	})
}
