package integration

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nodisk/nodisk/integration/lab"
	"github.com/nodisk/nodisk/integration/transcript"
)

// What is said above a prompt, and what it says of exit.
const (
	atPrompt = `nodisk: a shell: .*; exit `
	goesOn   = atPrompt + `goes on$`
)

// Somebody sits at the serial line: looks around, stops a command that takes too
// long, and lets the boot go on.
func TestBootRescue(t *testing.T) {
	t.Parallel()
	spec := lab.BootSpec{Root: lab.RootISCSI}
	needs(t, spec)
	kernel := filepath.Join(kernelDir(t), "vmlinuz")
	rescue := buildImage(t, "virt,iscsi,ext4", "--rescue")
	plain := buildImage(t, "virt,iscsi,ext4")
	l := sharedLab(t)
	cases := []struct {
		name string
		boot bootCase
	}{
		{
			name: "break",
			boot: bootCase{
				fs: "ext4",
				spec: lab.BootSpec{
					Image: rescue, Append: "rd.break=mount nodisk.deadline=5s nodisk.onfail=reboot",
					Replies: []lab.Reply{
						{After: `stopped before mount \(rd\.break\)$`, Type: ""},
						{After: goesOn, Type: "ip addr show eth0"},
						{After: `inet 10\.77\.\d+\.23`, Type: "lsmod"},
						{After: `^virtio_net +\d`, Type: "modprobe -x; modprobe ext4; ls /sysroot; echo stage $?"},
						// What ends a command does not end the shell.
						{After: `^stage 0`, Type: "echo before; sleep 1000"},
						{After: `^before`, Type: "\x03"},
						{After: goesOn, Type: "blkid; reboo; cat /proc/cmdline | grep -c rd.break=mount"},
						{After: `^1$`, Type: "exit"},
					},
				},
				expect: []string{byDHCP, goesOn, `find module "-x": neither in`, goesOn, `nodisk: mount \(6/7\): `},
			},
		},
		{
			// Whatever the shell is left for, what was written in it is saved: before another
			// attempt, which makes the session again, and by PID 1 before the machine is off.
			name: "poweroff",
			boot: bootCase{
				fails: true,
				spec: lab.BootSpec{
					Image: rescue, Append: "quiet nodisk.deadline=20s nodisk.onfail=shell",
					Cmdline: "ip=dhcp netroot=iscsi:{server}:::1:{target} root=LABEL=wrong rw",
					Replies: []lab.Reply{
						{
							After: atPrompt + `starts the boot again$`,
							Type:  `mkdir /m; mount -t ext4 /dev/sda /m; echo mended >/m/mended; echo do""ne`,
						},
						{After: `^done`, Type: "exit"},
						{
							After: atPrompt + `starts the boot again$`,
							Type:  `mkdir /n; mount -t ext4 /dev/sda /n; cat /n/mended; echo more >/n/more; dmesg | grep -c Data.will.be.lost; mount | grep -c " on /m "; poweroff`,
						},
					},
				},
				expect: []string{atPrompt, `^mended`, `^0`, `^0`, `reboot: Power down`},
			},
		},
		{
			name: "no-shell", // whoever asked wants the node, too
			boot: bootCase{
				fs: "ext4", spec: lab.BootSpec{Image: plain, Append: "rd.break"},
				expect: []string{`nodisk: warning: rd\.break asks for a shell, but the image has no /bin/sh: build it with nodisk build --rescue`, mounted},
			},
		},
		{
			name: "onfail", // what was forgotten is mended, and the boot begins again
			boot: bootCase{
				fs: "ext4",
				spec: lab.BootSpec{
					Image: rescue, Append: "quiet nodisk.deadline=10s nodisk.onfail=shell",
					Cmdline: "ip=dhcp root=LABEL={label}",
					Replies: []lab.Reply{
						{
							After: atPrompt + `starts the boot again$`,
							Type:  `echo netroot=iscsi:{server}:::1:{target} >>/etc/nodisk/nodisk.conf; ps`,
						},
						{After: `^ *PID `, Type: "exit"},
					},
				},
				expect: []string{
					`nodisk: error: gave up after [\d.]+ s: mount: .*; nodisk\.onfail=shell`,
					`^nodisk: gave up after [\d.]+ s: mount: `, mounted,
				},
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			takePlace(t, c.boot.weight())
			s := c.boot.spec
			s.Name, s.Kernel, s.Root = "rescue-"+c.name, kernel, lab.RootISCSI
			s.Timeout = 2 * time.Minute
			s.Log = testLogFile(s.Name)
			res, err := l.Boot(t.Context(), s)
			if err != nil {
				t.Fatalf("%v\n%s", err, transcript.Tail(res.Console, 40))
			}
			c.boot.check(t, res)
			if strings.Contains(res.Console, "panic:") {
				t.Errorf("something panicked:\n%s", transcript.Tail(res.Console, 60))
			}
		})
	}
}
