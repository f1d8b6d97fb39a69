package lab

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nodisk/nodisk/integration/transcript"
)

const reachedConsole = `Booting from ROM...
[    1.810823] Run /init as init process
[    2.100000] nodisk: network (3/7): eth0 10.77.0.23/24 by DHCP from 10.77.0.1, 0.41 s
[    2.853358] nodisk-root: reached
nodisk-root: reached
nodisk-root: root ext4 /dev/sda ro,relatime
nodisk-root: memory 468416 31720
nodisk-root: files bin dev etc
nodisk-root: hostname node
nodisk-root: net eth0 10.77.0.23/24
nodisk-root: writable no
nodisk-root: done
`

func consoleLines(text string) []transcript.Line {
	out := transcript.New()
	_, _ = out.Write([]byte(text))
	out.End()
	lines, _, _ := out.Snapshot(0)
	return lines
}

func TestRead(t *testing.T) {
	var res BootResult
	read(consoleLines(reachedConsole), &res)
	if !res.Reached {
		t.Error("the marker was not seen")
	}
	if got, want := res.Times.Initramfs(), 1042535*time.Microsecond; got != want {
		t.Errorf("%v in the initramfs, want %v", got, want)
	}
	res.Root.Lines = nil
	want := RootFacts{
		Type: "ext4", Source: "/dev/sda", Options: "ro,relatime", Address: "10.77.0.23/24",
		Hostname: "node", Files: "bin dev etc", MemoryKiB: 468416, UsedKiB: 31720,
	}
	if diff := cmp.Diff(want, res.Root); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestWhy(t *testing.T) {
	tests := []struct{ name, console, want string }{
		{
			"the last error, not what follows from it",
			"[    2.1] x\nnodisk: error: attach: no portal answers\nnodisk: error: gave up after 20 s: attach\n" +
				"nodisk: powering off\n",
			"nodisk: error: gave up after 20 s: attach",
		},
		{
			"a warning when there is no error", "nodisk: warning: rd.foo is unknown\nnodisk: mounts (1/7): done\n",
			"nodisk: warning: rd.foo is unknown",
		},
		{
			"else the last line", "nodisk: mounts (1/7): done\nnodisk: drivers (2/7): done\n",
			"nodisk: drivers (2/7): done",
		},
		{
			"a panic, and what was before", "nodisk: mounts (1/7): done\n[    1.000000] Kernel panic - not " +
				"syncing: No init\n",
			"Kernel panic - not syncing: No init; before it: nodisk: mounts (1/7): done",
		},
		{"nothing", "SeaBIOS\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := why(consoleLines(tt.console)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func TestExpectKeepsOrder(t *testing.T) {
	r := BootResult{Console: reachedConsole}
	if err := r.Expect(`^Booting`, `DHCP`, `reached`); err != nil {
		t.Error(err)
	}
	err := r.Expect(`DHCP`, `^Booting`)
	if err == nil || !strings.Contains(err.Error(), `"^Booting"`) {
		t.Errorf("Expect: %v, want an error that names the pattern", err)
	}
}

func TestSpecWords(t *testing.T) {
	tests := []struct {
		spec BootSpec
		want string
	}{
		{BootSpec{Root: RootISCSI}, "ip=dhcp root=dhcp"},
		{BootSpec{Root: RootISCSI, Static: true}, "ip=10.77.0.23:10.77.0.1:10.77.0.1:255.255.255.0:node::none " +
			"netroot=iscsi:10.77.0.1::3260:1:iqn.x root=LABEL=nodisk-root"},
		{BootSpec{Root: RootNFS3}, "ip=dhcp root=/dev/nfs nfsroot=10.77.0.1:/srv,vers=3"},
		{BootSpec{Root: RootNFS4}, "ip=dhcp root=nfs4:10.77.0.1:/srv"},
		{BootSpec{Root: RootRAM}, "root=/dev/ram"},
		{BootSpec{Root: RootNFS3, Cmdline: "root={server}:{export}"}, "root=10.77.0.1:/srv"},
	}
	values := map[string]string{
		"client": "10.77.0.23", "server": "10.77.0.1", "gateway": "10.77.0.1", "mask": "255.255.255.0",
		"name": "node", "target": "iqn.x", "label": RootLabel, "export": "/srv",
	}
	for _, tt := range tests {
		if got := Fill(tt.spec.Words(), values); got != tt.want {
			t.Errorf("%v static=%v: %q, want %q", tt.spec.Root, tt.spec.Static, got, tt.want)
		}
	}
}

func TestParseRootIsInverse(t *testing.T) {
	for r := RootISCSI; r <= RootNone; r++ {
		if got, err := ParseRoot(r.String()); err != nil || got != r {
			t.Errorf("ParseRoot(%q) = %v, %v", r, got, err)
		}
	}
	if _, err := ParseRoot("floppy"); err == nil {
		t.Error("an unknown root was taken")
	}
}

func TestSpecCheck(t *testing.T) {
	err := BootSpec{Icount: true, CPUs: 2, PXE: true, DHCPAfter: time.Second}.CheckStart()
	for _, want := range []string{"kernel and image", "which root", "one CPU", "DHCP server"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("check: %v, want it to say %q", err, want)
		}
	}
}
