package integration

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/u-root/u-root/pkg/cpio"

	"github.com/nodisk/nodisk/internal/testenv"
)

func TestFabricWords(t *testing.T) {
	f := &Fabric{spec: FabricSpec{PKeys: []uint16{0x8001, 0x8002}}}
	const hca = "rd.driver.post=softib softib.netdev={cable} softib.sa=1 "
	for name, c := range map[string]struct {
		boot FabricBoot
		want string
	}{
		"dhcp": {FabricBoot{BootSpec: BootSpec{Root: RootISCSI}}, hca + "ip=ib0:dhcp root=dhcp"},
		"static": {FabricBoot{BootSpec: BootSpec{Root: RootNFS4, Static: true}},
			hca + "ip={client}:{server}:{gateway}:{mask}:{name}:ib0:none root=nfs4:{server}:{export}"},
		"P_Key": {
			FabricBoot{BootSpec: BootSpec{Root: RootISCSI, Append: "quiet"}, Partition: 2},
			hca + "softib.pkeys=0x8002 ib.pkey=ib0.8002 ip=ib0.8002:dhcp root=dhcp quiet",
		},
		"without its P_Key": {FabricBoot{BootSpec: BootSpec{Root: RootISCSI}, Partition: 1, Keyless: true},
			hca + "ib.pkey=ib0.8001 ip=ib0.8001:dhcp root=dhcp"},
		"adapter": {
			FabricBoot{BootSpec: BootSpec{Root: RootISCSI}, HCA: []string{"maxmtu=4096", "gone=0,1"}},
			hca + "softib.maxmtu=4096 softib.gone=0,1 ip=ib0:dhcp root=dhcp",
		},
		"own words": {FabricBoot{BootSpec: BootSpec{Root: RootISCSI, Cmdline: "ip=dhcp"}}, hca + "ip=dhcp"},
	} {
		if diff := cmp.Diff(c.want, strings.TrimSpace(f.words(c.boot))); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestFabricPorts(t *testing.T) {
	f := &Fabric{n: 3, last: 1}
	if got := []string{f.mac(10), f.guid(10), f.address(0, 10).String(), f.address(1, 10).String()}; !cmp.Equal(got,
		[]string{
			"52:54:00:77:03:0a", "02:50:49:03:00:77:03:0a", "10.77.3.10", "10.78.3.10",
		}) {
		t.Errorf("port 10 of fabric 3 is %v", got)
	}
	for range 253 {
		if _, err := f.port(); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := f.port(); err == nil {
		t.Errorf("there is a port %d, after the last address", n)
	}
	managed := &Fabric{spec: FabricSpec{SubnetManager: true}, last: 1}
	if _, err := managed.port(); err != nil {
		t.Fatal(err)
	}
	if _, err := managed.port(); err == nil {
		t.Error("two nodes on a fabric without a switch")
	}
	if err := managed.leave(); err != nil {
		t.Fatal(err)
	}
	if n, err := managed.port(); n != 3 || err != nil {
		t.Errorf("the next node has port %d, %v, want 3", n, err)
	}
}

func TestTransactions(t *testing.T) {
	log := strings.Split(`server: dnsmasq: dnsmasq-dhcp: 11 available DHCP subnet: 10.77.0.0/255.255.255.0
server: dnsmasq: dnsmasq-dhcp: 22 available DHCP subnet: 10.77.0.0/255.255.255.0
server: dnsmasq: dnsmasq-dhcp: 22 DHCPDISCOVER(ib0) 02:50:49:03:00:77:00:03
server: dnsmasq: dnsmasq-dhcp: 11 DHCPDISCOVER(ib0) 02:50:49:03:00:77:00:02
server: dnsmasq: dnsmasq-dhcp: 22 DHCPOFFER(ib0) 10.77.0.3 02:50:49:03:00:77:00:03
server: dnsmasq: dnsmasq-dhcp: 33 DHCPDISCOVER(ib0) 02:50:49:77:00:03
server: dnsmasq: started`, "\n")
	got := ofTransactions(log, "02:50:49:03:00:77:00:03", "02:50:49:77:00:03")
	if diff := cmp.Diff([]string{log[1], log[2], log[4], log[5]}, got); diff != "" {
		t.Errorf("lines of node 3 (-want +got):\n%s", diff)
	}
	if n := (FabricResult{Server: got}).Discovers(); n != 2 {
		t.Errorf("%d DISCOVERs, want 2", n)
	}
}

// Strings a shell, a half-open serial port and a command that was given up may
// leave behind.
const lateAnswer = "\x00garbage\r\n| of the first\n= 1 0\n| one\r\n| = 2 0\n| \n= 2 7\n"

func TestReadAnswer(t *testing.T) {
	out, status, err := readAnswer(bufio.NewReader(strings.NewReader(lateAnswer)), 2)
	if err != nil || status != "7" {
		t.Errorf("status %q, %v, want 7", status, err)
	}
	if diff := cmp.Diff("one\n= 2 0\n\n", out); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	if _, _, err := readAnswer(bufio.NewReader(strings.NewReader("| cut short\n")), 1); !errors.Is(err, io.EOF) {
		t.Errorf("an answer without an end: %v, want EOF", err)
	}
}

func FuzzReadAnswer(f *testing.F) {
	for _, s := range []string{lateAnswer, "= 2 0\n", "=", "= \n= 2\n", "| \n= 3 1\n= 2 -1\n", "= 02 0\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		out, status, err := readAnswer(bufio.NewReader(strings.NewReader(s)), 2)
		if err == nil && strings.Contains(status, "\n") {
			t.Errorf("status %q", status)
		}
		if len(out) > len(s) {
			t.Errorf("%d bytes of output from %d", len(out), len(s))
		}
	})
}

// A command that is not answered in time is an error, and the next one is not
// given its answer.
func TestServerRun(t *testing.T) {
	lab, vm := net.Pipe()
	defer func() { _ = vm.Close() }()
	v := &serverVM{p: &process{out: newTranscript()}, conn: lab, r: bufio.NewReader(lab)}
	commands := bufio.NewReader(vm)
	read := make(chan string)
	go func() {
		defer close(read)
		for {
			c, err := commands.ReadString('\n')
			if err != nil {
				return
			}
			read <- c
		}
	}()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-read
		cancel(errors.New("enough"))
	}()
	if _, err := v.run(ctx, "first"); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Errorf("a command without answer: %v", err)
	}
	go func() {
		if c := <-read; c == "2 second\n" {
			_, _ = io.WriteString(vm, "| of the first\n= 1 0\n| fine\n= 2 0\n")
		}
	}()
	if out, err := v.run(t.Context(), "second"); err != nil || out != "fine\n" {
		t.Errorf("the second command: %q, %v", out, err)
	}
	if _, err := v.run(t.Context(), "two\nlines"); err == nil {
		t.Error("two lines are one command")
	}
	_ = lab.Close()
}

// QEMU's side of the monitor: a greeting, an event in between, and an error.
func TestMonitor(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	path := filepath.Join(t.TempDir(), "monitor")
	m, err := listenMonitor(ctx, path)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan []string, 1)
	go func() {
		var said []string
		defer func() { got <- said }()
		var d net.Dialer
		conn, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return
		}
		defer func() { _ = conn.Close() }()
		_, _ = io.WriteString(conn, `{"QMP": {"version": {}, "capabilities": []}}`+"\n")
		dec := json.NewDecoder(conn)
		for _, answer := range []string{`{"return": {}}`, `{"event": "RESUME"} {"return": {}}`,
			`{"error": {"class": "DeviceNotFound", "desc": "Device 'n7' not found"}}`} {
			var order json.RawMessage
			if dec.Decode(&order) != nil {
				return
			}
			said = append(said, string(order))
			_, _ = io.WriteString(conn, answer+"\n")
		}
	}()
	if err := m.accept(ctx); err != nil {
		t.Fatal(err)
	}
	if err := m.run(); err != nil {
		t.Error(err)
	}
	if err := m.plug(7, false); err == nil || !strings.Contains(err.Error(), "set_link: Device 'n7' not found") {
		t.Errorf("a NIC that is not there: %v", err)
	}
	want := []string{`{"execute":"qmp_capabilities"}`, `{"execute":"cont"}`,
		`{"arguments":{"name":"n7","up":false},"execute":"set_link"}`}
	if diff := cmp.Diff(want, <-got); diff != "" {
		t.Errorf("orders (-want +got):\n%s", diff)
	}
	if err := m.close(); err != nil {
		t.Error(err)
	}
}

// What the kernel unpacks: directories before their files, one path for both
// spellings of a merged /usr.
func TestArchive(t *testing.T) {
	a := newArchive()
	a.put("/lib/x86_64-linux-gnu/libx.so.1", []byte("library"), 0o644)
	a.put("/usr/sbin/daemon", []byte("program"), 0o755)
	file := filepath.Join(t.TempDir(), "image")
	if err := a.write(file); err != nil {
		t.Fatal(err)
	}
	var names []string
	seen := map[string]bool{".": true}
	readCPIO(t, file, func(r cpio.Record) {
		if dir := filepath.Dir(r.Name); !seen[dir] {
			t.Errorf("%s comes before %s", r.Name, dir)
		}
		seen[r.Name] = true
		if r.Mode&cpio.S_IFMT == cpio.S_IFREG {
			names = append(names, r.Name)
		}
	})
	if diff := cmp.Diff([]string{"usr/lib/x86_64-linux-gnu/libx.so.1", "usr/sbin/daemon"}, names); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
	for _, name := range []string{"lib", "bin", "sbin", "lib64", "proc", "dev"} {
		if !seen[name] {
			t.Errorf("there is no /%s", name)
		}
	}
}

func readCPIO(t *testing.T, file string, f func(cpio.Record)) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := cpio.ForEachRecord(cpio.Newc.Reader(bytes.NewReader(data)),
		func(r cpio.Record) error { f(r); return nil }); err != nil {
		t.Fatal(err)
	}
}

func TestSharedLibraries(t *testing.T) {
	shell, err := filepath.EvalSymlinks("/bin/sh")
	testenv.Needs(t, err == nil, "/bin/sh")
	libs, err := sharedLibraries(shell)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, l := range libs {
		names = append(names, filepath.Base(l))
	}
	got := strings.Join(names, " ")
	if !strings.Contains(got, "libc.so.6") || !strings.Contains(got, "ld-linux-x86-64.so.2") {
		t.Errorf("%s needs %q, want C library and loader among it", shell, got)
	}
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if libs, err := sharedLibraries(script); err != nil || len(libs) > 0 {
		t.Errorf("a script needs %v, %v", libs, err)
	}
}

// A reservation that an act makes is not made before it, and what contradicts itself is
// told before anything is started.
func TestFabricScript(t *testing.T) {
	late := FabricBoot{Script: []Act{{Pull: []int{0}}, {Reserve: true}}}
	if !late.reservesLate() || (FabricBoot{Script: late.Script[:1]}).reservesLate() {
		t.Error("only the second act tells the DHCP server of the node")
	}
	f := &Fabric{}
	for name, b := range map[string]FabricBoot{
		"a script and a dead port": {Script: late.Script, DeadPort: true},
		"two ports and a dead one": {TwoPorts: true, DeadPort: true},
	} {
		if err := f.check(b); err == nil || !strings.Contains(err.Error(), "neither") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := f.check(FabricBoot{Unplugged: true}); err == nil ||
		!strings.Contains(err.Error(), "nobody plugs the cable") {
		t.Errorf("a cable that stays out: %v", err)
	}
	if re := orderedLine("pkeys=0x8001,0xffff"); !re.MatchString("softib: ordered: pkeys=0x8001,0xffff") ||
		re.MatchString("softib: ordered: pkeys=0x8001,0xffff,0x1") {
		t.Errorf("%v is not the line of that order alone", re)
	}
}
