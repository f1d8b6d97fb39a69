package netsetup

import (
	"io/fs"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/ibft"
	"github.com/nodisk/nodisk/netsetup/ibft/ibfttest"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
)

// ibftFS is a sysfs with these files, one "dir/name=content" a line, below
// firmware/ibft unless they begin with a slash.
func ibftFS(lines string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for line := range strings.Lines(lines) {
		name, content, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			continue
		}
		path, absolute := strings.CutPrefix(name, "/")
		if !absolute {
			path = ibft.Dir + "/" + name
		}
		if fs.ValidPath(path) {
			fsys[path] = &fstest.MapFile{Data: []byte(content + "\n")}
		}
	}
	return fsys
}

// What iPXE leaves, as the kernel shows it.
const ibftStatic = `
	initiator/flags=3
	initiator/initiator-name=iqn.2010-04.org.ipxe:node7
	ethernet0/index=0
	ethernet0/flags=3
	ethernet0/mac=52:54:00:12:34:56
	ethernet0/ip-addr=10.0.0.5
	ethernet0/prefix-len=24
	ethernet0/subnet-mask=255.255.255.0
	ethernet0/gateway=10.0.0.1
	ethernet0/primary-dns=10.0.0.2
	ethernet0/secondary-dns=10.0.0.3
	ethernet0/hostname=node7
	ethernet0/origin=0
	ethernet0/vlan=0
`

func TestWithIBFT(t *testing.T) {
	static := Addressing{
		Match: macA, Method: lease.MethodStatic, Address: prefix("10.0.0.5/24"), Gateway: addr("10.0.0.1"), Hostname: "node7",
		DNS: []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3")},
	}
	change := func(f func(*Addressing)) []Addressing {
		n := static
		f(&n)
		return []Addressing{n}
	}
	const second = ibftStatic + "ethernet1/flags=1\nethernet1/mac=52:54:00:12:34:57\nethernet1/ip-addr=10.1.0.5\nethernet1/prefix-len=24\n"
	other := Addressing{Match: macB, Method: lease.MethodStatic, Address: prefix("10.1.0.5/24")}
	const name = "iqn.2010-04.org.ipxe:node7"
	for test, tt := range map[string]struct {
		line, files string
		want        []Addressing
		initiator   string
	}{
		"no ibft":        {line: "ip=dhcp", want: []Addressing{{Method: lease.MethodDHCP}}},
		"static":         {"ip=ibft", ibftStatic, []Addressing{static}, name},
		"device":         {"ip=eth0:ibft:9000", ibftStatic, change(func(n *Addressing) { n.MTU = 9000 }), name},
		"device present": {"ip=eth1:ibft", second + "/class/net/eth1/address=52:54:00:12:34:57\n", []Addressing{other}, name},
		"device by MAC":  {"ip=52-54-00-12-34-57:ibft", second, []Addressing{other}, name},
		"device renamed": {"ip=lan0:ibft ifname=lan0:52:54:00:12:34:57", second, []Addressing{other}, name},
		"BOOTIF":         {"ip=ibft BOOTIF=01-52-54-00-12-34-57", second, []Addressing{other}, name},
		"BOOTIF of none": {"ip=ibft BOOTIF=01-52-54-00-12-34-58", second, []Addressing{static}, name},
		"selected":       {"ip=ibft", second, []Addressing{static}, name},
		"two ports":      {"ip=ibft", strings.Replace(second, "ethernet1/flags=1", "ethernet1/flags=3", 1), []Addressing{static, other}, name},
		"none selected":  {"ip=ibft", strings.Replace(second, "ethernet0/flags=3", "ethernet0/flags=1", 1), []Addressing{static, other}, name},
		"word first": {
			"ip=:10.0.0.9:10.0.0.254::host::ibft:9.9.9.9", ibftStatic,
			change(func(n *Addressing) {
				n.Server, n.Gateway, n.Hostname, n.DNS = addr("10.0.0.9"), addr("10.0.0.254"), "host", []netip.Addr{addr("9.9.9.9")}
			}), name,
		},
		"two words": {"ip=ibft ip=52-54-00-12-34-57:dhcp", ibftStatic, []Addressing{static, {Match: macB, Method: lease.MethodDHCP}}, name},
		"lease":     {"ip=ibft", strings.Replace(ibftStatic, "origin=0", "origin=3", 1) + "ethernet0/dhcp=10.0.0.1\n", []Addressing{static}, name},
		"DHCP":      {"ip=ibft", "ethernet0/flags=3\nethernet0/mac=52:54:00:12:34:56\nethernet0/origin=3\n", []Addressing{{Match: macA, Method: lease.MethodDHCP}}, ""},
		"mask": {
			"ip=ibft", "ethernet0/flags=3\nethernet0/mac=52:54:00:12:34:56\nethernet0/ip-addr=10.0.0.5\nethernet0/subnet-mask=255.255.0.0\nethernet0/gateway=0.0.0.0\n",
			[]Addressing{{Match: macA, Method: lease.MethodStatic, Address: prefix("10.0.0.5/16")}},
			"",
		},
		"no mask": {
			"ip=ibft", "initiator/initiator-name=x\nethernet0/flags=3\nethernet0/mac=52:54:00:12:34:56\nethernet0/ip-addr=192.168.7.5\nethernet0/hostname=no/name\n",
			[]Addressing{{Match: macA, Method: lease.MethodStatic, Address: prefix("192.168.7.5/24")}},
			"",
		},
		"IPv6": {
			// As sprintf_ipaddr writes it.
			"ip=ibft", "ethernet0/flags=3\nethernet0/mac=52:54:00:12:34:56\nethernet0/ip-addr=2001:0db8:0000:0000:0000:0000:0000:0005\nethernet0/prefix-len=64\n" +
				"ethernet0/gateway=fe80:0000:0000:0000:0000:0000:0000:0001\nethernet0/primary-dns=10.0.0.1\n",
			[]Addressing{{Match: macA, Method: lease.MethodStatic, Address: prefix("2001:db8::5/64"), Gateway: addr("fe80::1")}},
			"",
		},
	} {
		t.Run(test, func(t *testing.T) {
			before := parseLine(t, tt.line)
			got, err := before.WithIBFT(ibftFS(tt.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got.Interfaces, byValue()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if got.InitiatorName != tt.initiator {
				t.Errorf("initiator %q, want %q", got.InitiatorName, tt.initiator)
			}
			if diff := cmp.Diff(parseLine(t, tt.line), before, byValue()); diff != "" {
				t.Errorf("the config it was called on has changed (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWithIBFTErrors(t *testing.T) {
	const port = "ethernet0/flags=3\nethernet0/mac=52:54:00:12:34:56\n"
	for test, tt := range map[string]struct{ line, files, want string }{
		"no table":     {"ip=ibft", "", "ip=ibft: the firmware left no iBFT (neither /sys/firmware/acpi/tables/iBFT nor /sys/firmware/ibft is there); check that the firmware boots by iSCSI and, with a BIOS, that the image holds iscsi_ibft (profile ibft), or write ip=dhcp"},
		"no port":      {"ip=ibft", "initiator/flags=3\n", "ip=ibft: the firmware's iBFT has no network port in use"},
		"invalid port": {"ip=ibft", "ethernet0/flags=2\nethernet0/mac=52:54:00:12:34:56\n", "has no network port in use"},
		"no address":   {"ip=ibft", port + "ethernet0/origin=1\n", "ip=ibft: the firmware left no address for 52:54:00:12:34:56 (NIC 0) in its table; give the port an address in the firmware's iSCSI settings, or write ip=52-54-00-12-34-56:dhcp"},
		"other port":   {"ip=52-54-00-12-34-57:ibft", ibftStatic, "the firmware's iBFT has no port 52:54:00:12:34:57 (it has 52:54:00:12:34:56)"},
		"other device": {"ip=eth1:ibft", ibftStatic + "/class/net/eth1/address=52:54:00:12:34:57\n", "ip=eth1:ibft: the firmware's iBFT has no port 52:54:00:12:34:57"},
		"which port":   {"ip=eth1:ibft", ibftStatic + "ethernet1/flags=3\nethernet1/mac=52:54:00:12:34:57\n", "ip=eth1:ibft: the firmware's iBFT has 2 ports, and eth1 is not there yet"},
		"no MAC":       {"ip=ibft", "ethernet0/flags=3\n", `ip=ibft: the firmware's iBFT is damaged: /sys/firmware/ibft/ethernet0/mac holds "", not a MAC address`},
		"bad number":   {"ip=ibft", port + "ethernet0/vlan=5000\n", `ethernet0/vlan holds "5000", not a number from 0 to 4094`},
		"bad address":  {"ip=ibft", port + "ethernet0/ip-addr=ten\n", `ethernet0/ip-addr holds "ten", not an address`},
		"no host":      {"ip=ibft", port + "ethernet0/ip-addr=10.0.0.255\nethernet0/prefix-len=24\n", "NIC 0 has 10.0.0.255/24, which is not the address of a host"},
		"family":       {"ip=::10.0.0.1::::ibft", port + "ethernet0/ip-addr=2001:db8::5\n", "10.0.0.1 is an address of IPv4, but static is of IPv6 here"},
		"twice":        {"ip=ibft ip=52-54-00-12-34-56:dhcp", ibftStatic, "configures 52-54-00-12-34-56 a second time"},
	} {
		t.Run(test, func(t *testing.T) {
			c, err := parseLine(t, tt.line).WithIBFT(ibftFS(tt.files))
			if err == nil {
				t.Fatalf("no error, but %+v", c)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%q is not in:\n%v", tt.want, err)
			}
		})
	}
}

// The table of ACPI says the same as the files of the module, and goes first.
func TestWithIBFTOfACPI(t *testing.T) {
	table := ibft.Table{
		Initiator: "iqn.2010-04.org.ipxe:node7",
		NICs: []ibft.NIC{{
			Selected: true, MAC: [6]byte([]byte(macA)), Addr: addr("10.0.0.5"), Bits: 24, Gateway: addr("10.0.0.1"),
			DNS: []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3")}, Hostname: "node7",
		}},
	}
	want, err := parseLine(t, "ip=ibft").WithIBFT(ibftFS(ibftStatic))
	if err != nil {
		t.Fatal(err)
	}
	with := func(table ibft.Table) fstest.MapFS {
		fsys := ibftFS("ethernet0/flags=3\nethernet0/mac=52:54:00:12:34:57\nethernet0/ip-addr=10.9.9.9\n")
		fsys["firmware/acpi/tables/iBFT"] = &fstest.MapFile{Data: ibfttest.Write(table)}
		return fsys
	}
	got, err := parseLine(t, "ip=ibft").WithIBFT(with(table))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, byValue()); diff != "" {
		t.Errorf("(-module +ACPI):\n%s", diff)
	}
	// What it holds is data: names that are none are left out.
	table.Initiator, table.NICs[0].Hostname = "iqn.2010-04.org.ipxe:a\nInitiatorName=b", "node7\x1b[2J"
	if got, err = parseLine(t, "ip=ibft").WithIBFT(with(table)); err != nil {
		t.Fatal(err)
	}
	if got.InitiatorName != "" || got.Interfaces[0].Hostname != "" {
		t.Errorf("initiator %q, host name %q", got.InitiatorName, got.Interfaces[0].Hostname)
	}
	for what, change := range map[string]func(*ibft.NIC){
		"MAC 00:00:00:00:00:00":       func(n *ibft.NIC) { n.MAC = [6]byte{} },
		"10.0.0.5/200":                func(n *ibft.NIC) { n.Bits = 200 },
		"VLAN 4095":                   func(n *ibft.NIC) { n.VLAN = 4095 },
		"224.0.0.1/24, which is not":  func(n *ibft.NIC) { n.Addr = addr("224.0.0.1") },
		"left no address for 52:54:0": func(n *ibft.NIC) { n.Addr = netip.Addr{} },
	} {
		bad := table
		bad.NICs = slices.Clone(table.NICs)
		change(&bad.NICs[0])
		if _, err := parseLine(t, "ip=ibft").WithIBFT(with(bad)); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%v, want an error with %q", err, what)
		}
	}
}

// A VLAN of the table is made on the port with its MAC, unless vlan= does it.
func TestWithIBFTVLAN(t *testing.T) {
	tagged := strings.Replace(ibftStatic, "vlan=0", "vlan=5", 1)
	for line, want := range map[string][]string{
		"ip=ibft": {"ip link set lo up", "ip link set eth0 up", "ip link add link eth0 name ibft0.5 type vlan id 5", "ip addr add 10.0.0.5/24 brd + dev ibft0.5"},
		"ip=ibft vlan=storage:52-54-00-12-34-56:5": {"ip link set lo up", "ip link set eth0 up", "ip link add link eth0 name storage type vlan id 5", "ip addr add 10.0.0.5/24 brd + dev storage"},
	} {
		c, err := parseLine(t, line).WithIBFT(ibftFS(tagged))
		if err != nil {
			t.Fatal(err)
		}
		steps, err := c.Steps([]link.Device{{Index: 2, Name: "eth0", Type: link.HwEthernet, Addr: macA, Physical: true, MTU: 1500, Carrier: true}})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, s := range steps {
			got = append(got, s.String())
		}
		for _, w := range want {
			if !slices.Contains(got, w) {
				t.Errorf("%s: no %q in:\n%s", line, w, strings.Join(got, "\n"))
			}
		}
	}
}

// Whatever the firmware leaves, what is taken of it can be written as ip= words
// that mean the same.
func FuzzWithIBFT(f *testing.F) {
	f.Add("ip=ibft", ibftStatic)
	f.Add("ip=eth0:ibft BOOTIF=01-52-54-00-12-34-56", ibftStatic+"ethernet1/flags=3\nethernet1/mac=52:54:00:12:34:57\nethernet1/ip-addr=2001:0db8::0005\nethernet1/vlan=5\n")
	f.Add("ip=ibft ip=auto6", "ethernet0/flags=3\nethernet0/mac=52:54:00:12:34:56\nethernet0/origin=3\n")
	f.Add("ip=:::::eth0:ibft:9.9.9.9", ibftStatic+"/class/net/eth0/address=52:54:00:12:34:56\nethernet3/flags=-1\n")
	f.Fuzz(func(t *testing.T, line, files string) {
		c, err := ParseConfig(cmdline.Parse(line))
		if err != nil {
			return
		}
		c, err = c.WithIBFT(ibftFS(files))
		if err != nil {
			if err.Error() == "" {
				t.Error("an error without words")
			}
			return
		}
		for _, n := range c.Interfaces {
			again, err := ParseConfig(cmdline.Args{{Key: "ip", Value: n.String(), HasValue: true}})
			if err != nil {
				t.Fatalf("%q is written as ip=%s: %v", line, n, err)
			}
			if diff := cmp.Diff([]Addressing{n}, again.Interfaces, byValue()); diff != "" {
				t.Errorf("%q is written as ip=%s (-first +second):\n%s", line, n, diff)
			}
		}
	})
}

func TestWithName(t *testing.T) {
	for test, tt := range map[string]struct {
		answers              []string
		domain               string
		wantHost, wantDomain string
		wantOK               bool
	}{
		"nothing":       {},
		"a name":        {answers: []string{"node7.cluster.example."}, wantHost: "node7", wantDomain: "cluster.example", wantOK: true},
		"no domain":     {answers: []string{"node7."}, wantHost: "node7", wantOK: true},
		"known domain":  {answers: []string{"node7.other.example"}, domain: "example", wantHost: "node7", wantDomain: "example", wantOK: true},
		"first valid":   {answers: []string{"", ".", "-a.b.", "no/de.x.", "a..b/c.", "node8.x.", "node9.x."}, wantHost: "node8", wantDomain: "x", wantOK: true},
		"none is valid": {answers: []string{"no de"}, domain: "example", wantDomain: "example"},
	} {
		t.Run(test, func(t *testing.T) {
			got, ok := State{Domain: tt.domain}.WithName(tt.answers)
			if ok != tt.wantOK || got.Hostname != tt.wantHost || got.Domain != tt.wantDomain {
				t.Errorf("%q %q %v, want %q %q %v", got.Hostname, got.Domain, ok, tt.wantHost, tt.wantDomain, tt.wantOK)
			}
		})
	}
}
