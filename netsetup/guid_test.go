package netsetup

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// guideAddr is the port of the FlexBoot guide's example as an IPoIB address.
const guideAddr = HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")

func guidePort() Device {
	return Device{
		Index: 5, Name: "ib0", Type: hwInfiniBand, Addr: guideAddr, MTU: 2044, Physical: true, Driver: "mlx4_core", HCA: "mlx4_0", Port: 1,
		Broadcast: "\x00\xff\xff\xff\xff\x12\x40\x1b\xff\xff\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff",
	}
}

func TestParseGUID(t *testing.T) {
	whole, _ := guideAddr.GUID()
	for _, s := range []string{
		"80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39", // ip link
		"80-00-02-08-FE-80-00-00-00-00-00-00-00-02-C9-03-00-00-10-39", // another boot's queue pair
		"00:02:c9:03:00:00:10:39", "00-02-C9-03-00-00-10-39",
		"0x0002c90300001039", "0002c90300001039", // ibstat
		"0002:c903:0000:1039",                          // sysfs node_guid
		"fe80:0000:0000:0000:0002:c903:0000:1039",      // sysfs gids/0
		"fe80::2:c903:0:1039", "fec0::1:2:c903:0:1039", // ibaddr, saquery: inet_ntop(3)
		"fe80:0:0:0:2:c903:0:1039",
		"0011:2233:4455:6677:0002:c903:0000:1039",         // a subnet prefix of somebody's own
		"fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39", // as bytes
		"0x2c90300001039", "0X2C90300001039",              // sminfo
		"20:00:02:c9:03:00:00:10:39", "20-00-02-C9-03-00-00-10-39", // EFI, xCAT
		"20-80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39",
	} {
		g, err := ParseGUID(s)
		if err != nil || g != whole || g.String() != "00:02:c9:03:00:00:10:39" {
			t.Errorf("%s: %v, %v", s, g, err)
		}
	}
	// Six bytes, as they are and with the bit 0x02 of the first changed.
	for _, s := range []string{"00:02:c9:00:10:39", "02-02-C9-00-10-39", "20-00-02-c9-00-10-39"} {
		g, err := ParseGUID(s)
		s = strings.TrimPrefix(s, "20-")
		if err != nil || !g.Is(whole) || !whole.Is(g) || !strings.EqualFold(g.String(), strings.ReplaceAll(s, "-", ":")) {
			t.Errorf("%s: %v, %v", s, g, err)
		}
	}
	for _, s := range []string{"00:02:c9:00:10:3a", "04:02:c9:00:10:39", "00:02:c9:03:00:00:10:3a"} {
		if g, err := ParseGUID(s); err != nil || g.Is(whole) {
			t.Errorf("%s: %v is the port of %v, %v", s, g, whole, err)
		}
	}
	for _, s := range []string{
		"", "0x", "00", "00:02:c9", "00:02:c9:03:00:00:10", "00:02:c9:03:00:00:10:39:00", "0:2:c9:3:0:0:10:39", "00:02:c9:00:10:39:", "::", "zz:02:c9:00:10:39",
		"00:00:00:00:00:00:00:00", "00:00:00:00:00:00", "0002c9001039", "0002:c900:1039", "::2:c903:0:1039", "::1", "fe80::", "fe80::1%eth0", "fe80::2:c903:0:10.0.0.1x",
		"0x10002c90300001039", "0x-1", "0x+1", "0x_1", "0x00:02:c9:03:00:00:10:39", "2c90300001039", "21:00:02:c9:03:00:00:10:39",
	} {
		if g, err := ParseGUID(s); err == nil {
			t.Errorf("%q is %v", s, g)
		}
	}
	for s, want := range map[string]error{
		"0x0": errZero, "0x0000000000000000": errZero, "00-00-00-00-00-00": errZero, "20-00-00-00-00-00-00-00-00": errZero, "fe80::": errZero,
		"80:00:00:48:fe:80:00:00:00:00:00:00:00:00:00:00:00:00:00:00": errZero, "fe80:0000:0000:0000:0000:0000:0000:0000": errZero,
		// chaddr has 16 bytes; some firmware says less.
		"80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03": errCut, "00:00:00:48:12:34:00:00:00:00:00:00:00:02:c9:03": errCut,
		"80:00:00:48:fe:80:00:00:00:00:00:00": errCut,
		"2c90300001039":                       errNo0x, "0002c9001039": errGUID, "0xmlx4": errNumber, "0x": errNumber,
	} {
		if g, err := ParseGUID(s); !errors.Is(err, want) {
			t.Errorf("%s: %v, %v, want %v", s, g, err, want)
		}
	}
	if (GUID{}).Is(GUID{}) || (GUID{}).String() != "" {
		t.Error("no GUID is some GUID")
	}
}

// The example of the FlexBoot guide, and the other forms for the same port.
func TestClientID(t *testing.T) {
	ethernet := Device{Type: hwEthernet, Addr: macA}
	for _, tt := range []struct {
		id   ClientID
		d    Device
		want []string // form and bytes, hardware type, address of the header
	}{
		{"flexboot", guidePort(), []string{"flexboot ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:00:10:39 32 "}},
		{"guid", guidePort(), []string{"guid 20:00:02:c9:03:00:00:10:39 32 "}},
		{"hwaddr", guidePort(), []string{"hwaddr 20:80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39 32 "}},
		{"infiniband", guidePort(), []string{"infiniband 20:00:02:c9:03:00:00:10:39 32 00:02:c9:03:00:00:10:39"}},
		{"mac", guidePort(), []string{"mac 01:00:02:c9:00:10:39 1 00:02:c9:00:10:39"}},
		{"rfc4361", guidePort(), []string{"rfc4361 ff:00:00:10:39:00:03:00:20:00:02:c9:03:00:00:10:39 32 "}},
		{"none", guidePort(), []string{"none 1 00:02:c9:00:10:39"}},
		{"hex:0a0b", guidePort(), []string{"hex 0a:0b 32 "}},
		{"auto", guidePort(), []string{
			"flexboot ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:00:10:39 32 ", "guid 20:00:02:c9:03:00:00:10:39 32 ",
			"infiniband 20:00:02:c9:03:00:00:10:39 32 00:02:c9:03:00:00:10:39",
			"mac 01:00:02:c9:00:10:39 1 00:02:c9:00:10:39", "rfc4361 ff:00:00:10:39:00:03:00:20:00:02:c9:03:00:00:10:39 32 ",
			"hwaddr 20:80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39 32 ",
		}},
		{"", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"auto", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"infiniband", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"flexboot", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"rfc4361", ethernet, []string{"rfc4361 ff:00:12:34:56:00:03:00:01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"none", ethernet, []string{"none 1 52:54:00:12:34:56"}},
		{"hex:0a0b", ethernet, []string{"hex 0a:0b 1 52:54:00:12:34:56"}},
	} {
		var got []string
		for _, d := range tt.id.identities(tt.d) {
			got = append(got, d.String()+" "+map[uint8]string{hwEthernet: "1 ", hwInfiniBand: "32 "}[d.hwType]+d.chaddr.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.id, diff)
		}
	}
}

func TestIdentifies(t *testing.T) {
	for s, want := range map[string]string{
		"00-02-c9-03-00-00-10-39": "ib0", "00-02-c9-00-10-39": "ib0", "80-00-00-49-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39": "ib0",
		"52-54-00-12-34-56": "eth0", "52-54-00-12-34-57": "", "00-02-c9-03-00-00-10-3a": "",
	} {
		a, err := parseAddress(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		got := ""
		for _, d := range []Device{guidePort(), ethernet(2, "eth0", macA)} {
			if a.identifies(d) {
				got += d.Name
			}
		}
		if got != want {
			t.Errorf("%s is %q, want %q", s, got, want)
		}
	}
}

func TestCandidate(t *testing.T) {
	child, dsa, port := guidePort(), ethernet(7, "lan1", macB), ethernet(8, "eth9", macB)
	child.Name, child.Parent = "ib0.8001", 5
	dsa.Parent, port.Master = 2, 9
	for _, tt := range []struct {
		line string
		d    Device
		want bool
	}{
		{"", guidePort(), true},
		{"", child, false},
		{"", dsa, true},
		{"", port, false},
		{"ib.pkey=ib0.8001", guidePort(), false},
		{"ib.pkey=ib0.8001", child, true},
		{"bond=bond0:ib0:mode=1", guidePort(), false},
		{"bond=bond0:ib0:mode=1", Device{Name: "bond0", Type: hwEthernet}, true},
	} {
		if got := parseLine(t, tt.line).candidate(tt.d, false); got != tt.want {
			t.Errorf("%q, %s: %v", tt.line, tt.d.Name, got)
		}
	}
}

func TestPortSelector(t *testing.T) {
	second := guidePort()
	second.Port, second.Addr = 2, guideAddr[:19]+"\x3a"
	other := second
	other.HCA, other.Port, other.Addr = "mlx5_0", 1, guideAddr[:19]+"\x3b"
	for value, want := range map[string][]int{
		"1": {0, 2}, "2": {1}, "mlx4_0": {0, 1}, "mlx4_0:2": {1}, "mlx5_0:1": {2}, "00:02:c9:03:00:00:10:3a": {1}, "0x0002c90300001039": {0}, "mlx5_1": nil,
	} {
		c := parseLine(t, "nodisk.ib.port="+value)
		var got []int
		for i, d := range []Device{guidePort(), second, other} {
			if c.candidate(d, false) {
				got = append(got, i)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s selects %v, want %v", value, got, want)
		}
	}
}

func FuzzParseGUID(f *testing.F) {
	for _, s := range []string{
		"00:02:c9:03:00:00:10:39", "0x0002c90300001039", "fe80:0000:0000:0000:0002:c903:0000:1039", "00-02-c9-00-10-39", "0002:c903:0000:1039", ":", "0x-",
		"0x2c90300001039", "20:00:02:c9:03:00:00:10:39", "fe80::2:c903:0:1039", "20-80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03", "2c90300001039", "::", "0x0",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, err := ParseGUID(s)
		if err != nil {
			return
		}
		again, err := ParseGUID(g.String())
		if err != nil || again != g || !g.Is(again) {
			t.Errorf("%q is %v, which is %v, %v", s, g, again, err)
		}
		if short, ok := g.MAC().GUID(); ok && !short.Is(g) {
			t.Errorf("%v is not %v", short, g)
		}
	})
}
