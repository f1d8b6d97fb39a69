package netsetup

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/internal/cmdline"
	"github.com/nodisk/nodisk/netsetup/lease"
	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// Every word that names an interface by its address takes every spelling of it. Where
// colons separate fields they are dashes.
func TestAddressWords(t *testing.T) {
	guid := linktest.GuideAddr[12:]
	spellings := []string{
		"0x0002c90300001039", "0x2c90300001039", "0002c90300001039", "00-02-c9-03-00-00-10-39", "0002-c903-0000-1039", "20-00-02-c9-03-00-00-10-39",
		"20-80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39", "fe80-0000-0000-0000-0002-c903-0000-1039",
	}
	for name, word := range map[string]struct {
		line   string // $ is the address
		addr   func(c Config) link.HardwareAddr
		colons bool // are for the address
	}{
		"ip":             {"ip=$:dhcp", func(c Config) link.HardwareAddr { return c.Interfaces[0].Match }, false},
		"ip, field":      {"ip=10.0.0.7:::24::$:none", func(c Config) link.HardwareAddr { return c.Interfaces[0].Match }, false},
		"BOOTIF":         {"BOOTIF=$", func(c Config) link.HardwareAddr { return c.BootIF }, true},
		"BOOTIF, typed":  {"BOOTIF=20-$", func(c Config) link.HardwareAddr { return c.BootIF }, true},
		"nodisk.ib.port": {"nodisk.ib.port=$", func(c Config) link.HardwareAddr { return c.IBPort.GUID }, true},
		"bond":           {"bond=bond0:$,ib1:mode=active-backup ip=bond0:dhcp", func(c Config) link.HardwareAddr { return c.Bonds[0].Ports[0].Addr }, false},
		"bond, primary": {"bond=bond0:$,ib1:mode=active-backup,primary=$ ip=bond0:dhcp", func(c Config) link.HardwareAddr {
			return link.DeviceMatch(c.Bonds[0].Option("primary")).Addr
		}, false},
		"ifname":    {"ifname=lan0:$ ip=lan0:dhcp", func(c Config) link.HardwareAddr { return c.Renames[0].Addr }, true},
		"bootdev":   {"ip=$:dhcp bootdev=$", func(c Config) link.HardwareAddr { return c.BootDevice().Addr }, false},
		"rd.route":  {"ip=$:dhcp rd.route=10.1.0.0/16:10.0.0.1:$", func(c Config) link.HardwareAddr { return link.DeviceMatch(c.Routes[0].Dev).Addr }, false},
		"client-id": {"ip=$:dhcp rd.net.dhcp.client-id=$:01-02-03", func(c Config) link.HardwareAddr { return c.Interfaces[0].Match }, false},
	} {
		for _, s := range spellings {
			if word.line == "BOOTIF=20-$" && strings.HasPrefix(s, "20-") {
				continue
			}
			forms := []string{s, strings.ToUpper(s)}
			if word.colons {
				forms = append(forms, strings.ReplaceAll(s, "-", ":"))
			}
			for _, s := range forms {
				if got := word.addr(parseLine(t, strings.ReplaceAll(word.line, "$", s))); got != guid {
					t.Errorf("%s: %s is %v", name, s, got)
				}
			}
		}
	}
}

// What looks like an address and is none is never the name of an interface or an
// adapter, for which the node would wait forever.
func TestAddressWordsWrong(t *testing.T) {
	for s, want := range map[string]string{
		"0x10002c90300001039":        "is not a GUID: after 0x it has 1 to 16 hexadecimal digits",
		"0x2c9g":                     "is not a GUID: after 0x it has 1 to 16 hexadecimal digits",
		"0x":                         "is not a GUID: after 0x it has 1 to 16 hexadecimal digits",
		"0x0":                        "is zero, which is the address of no port",
		"00-00-00-00-00-00":          "is zero, which is the address of no port",
		"00-00-00-00-00-00-00-00":    "is zero, which is the address of no port",
		"2c90300001039":              "is not a GUID, which without 0x has all of its 16 digits",
		"525400123456":               "is neither an Ethernet address nor an InfiniBand identity",
		"0-2-c9-3-0-0-10":            "is neither an Ethernet address nor an InfiniBand identity",
		"00-02-c9-03-00":             "is neither an Ethernet address nor an InfiniBand identity",
		"5a54.0012.3457":             "is neither an Ethernet address nor an InfiniBand identity",
		"30-00-02-c9-03-00-00-10-39": "is neither an Ethernet address nor an InfiniBand identity",
		"80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03":    "is an InfiniBand address of 20 bytes that was cut off",
		"20-80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03": "is an InfiniBand address of 20 bytes that was cut off",
	} {
		for _, line := range []string{
			"ip=$:dhcp", "ip=:::::$:dhcp", "nodisk.ib.port=$", "bond=bond0:$,ib1:mode=active-backup", "bond=bond0:ib0,ib1:mode=active-backup,primary=$", "bridge=br0:$",
			"vlan=vlan5:$", "bootdev=$", "rd.route=10.1.0.0/16:10.0.0.1:$", "rd.net.dhcp.client-id=$:01-02-03", "ifname=lan0:$", "ifname=$:52:54:00:12:34:56",
			"vlan=$:eth0:5", "bond=$:eth0", "ib.pkey=$.8001",
		} {
			_, err := ParseConfig(cmdline.Parse(strings.ReplaceAll(line, "$", s)))
			switch {
			case err == nil:
				t.Errorf("%s with %s is taken", line, s)
			case strings.HasPrefix(line, "ib.pkey="), strings.Contains(line, "primary="): // their sentence says what to write
			case !strings.Contains(err.Error(), want):
				t.Errorf("%s with %s: %v, want %q", line, s, err, want)
			}
		}
	}
	for _, name := range []string{"ib0", "eth0", "enp0s3", "ibp65s0f0", "enx525400123456", "ens3f0np0", "bond0", "vlan5", "eth0.5", "ib0.8001", "dead-beef", "deadbeefcafe", "a-b", "fab-1", "ibx0002c9", "100g"} {
		if m, err := link.ParsePortMatch(name); err != nil || m.Name != name {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if n := parseLine(t, "ip=0002903000010390:dhcp").Interfaces[0]; n.Match != "\x00\x02\x90\x30\x00\x01\x03\x90" {
		t.Errorf("a GUID without a letter is %+v", n)
	}
	if s := parseLine(t, "nodisk.ib.port=mlx5_bond_0:1").IBPort; s != (link.PortSelector{HCA: "mlx5_bond_0", Number: 1}) {
		t.Errorf("%+v", s)
	}
}

// Firmware that has no address to tell: the word is as good as a bare BOOTIF=20.
func TestBootIFOfNone(t *testing.T) {
	for value, want := range map[string]string{
		"20":                         "",
		"20-00-00-00-00-00-00":       "it is zero, which is the address of no port",
		"20-00-00-00-00-00-00-00-00": "it is zero, which is the address of no port",
		"00:00:00:00:00:00":          "it is zero, which is the address of no port",
		"01-00-00-00-00-00-00":       "it is zero, which is the address of no port",
		"20-80-00-00-00-fe-80-00-00-00-00-00-00-00-00-00-00-00-00-00-00": "it is zero, which is the address of no port",
		"20-80-00-00-48-fe-80-00-00-00-00-00-00-00-02-c9-03":             "it is an InfiniBand address of 20 bytes that was cut off, and has no GUID left",
		"20-00-00-00-48-fe-80-00-00-00-00-00-00":                         "it is an InfiniBand address of 20 bytes that was cut off, and has no GUID left",
	} {
		c := parseLine(t, "BOOTIF="+value)
		bare := parseLine(t, "BOOTIF=20")
		var told []string
		if want != "" {
			told = []string{"BOOTIF=" + value + " names no interface, as a bare BOOTIF=20 does not: " + want}
		}
		if diff := cmp.Diff(told, c.Warnings()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", value, diff)
		}
		if c.Unheeded = nil; c.BootIF != "" || !cmp.Equal(bare, c, byValue()) {
			t.Errorf("%s: %+v", value, c)
		}
		// The first that has carrier is taken.
		if i, ok := c.Claim(linktest.GuidePort(), false); !ok || i != 0 {
			t.Errorf("%s: ib0 has no word", value)
		}
	}
}

// What a loader or firmware writes that has no address is told and no error, whatever stands for none;
// what names one stays, before it or after it.
func TestBootIFEmpty(t *testing.T) {
	const zero, none = "it is zero, which is the address of no port", "it has no address"
	for value, want := range map[string]string{
		"": none, "01": none, "01-": none, "01:": none, "06-": none, "0": zero, "00": zero, "00-00": zero, "01-00": zero, "20-00": zero,
		"00-00-00-00-00-00-00": zero, "01-00-00-00": zero, "06-00-00-00-00-00-00": zero, "00-00-00-00-00-00-00-00-00": zero,
	} {
		if got := parseLine(t, "BOOTIF="+value).Warnings(); len(got) != 1 || got[0] != "BOOTIF="+value+" names no interface, as a bare BOOTIF=20 does not: "+want {
			t.Errorf("%q: %q, want %q", value, got, want)
		}
		for _, line := range []string{"BOOTIF=" + value + " BOOTIF=01-52-54-00-12-34-56", "BOOTIF=01-52-54-00-12-34-56 BOOTIF=" + value} {
			if got := parseLine(t, line).BootIF; got != macA {
				t.Errorf("%s: %v", line, got)
			}
		}
	}
	// IEEE 802 (RFC 1700, hardware types) has the addresses of Ethernet.
	if got := parseLine(t, "BOOTIF=06-52-54-00-12-34-56").BootIF; got != macA {
		t.Errorf("type 06: %v", got)
	}
}

// A GID is no address of IP, and brackets are for those.
func TestBracketedGID(t *testing.T) {
	for value, want := range map[string]string{
		"[fe80::2:c903:0:1039]:dhcp":  "names a port by its GID in brackets, which are for the addresses of IP; write ip=00-02-c9-03-00-00-10-39:dhcp",
		"[fe80::2:c903:0:1039]:auto6": "write ip=00-02-c9-03-00-00-10-39:auto6",
	} {
		if _, err := ParseConfig(cmdline.Parse("ip=" + value)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", value, err, want)
		}
	}
}

// An address with colons is shown with dashes, the whole of it.
func TestColonAddress(t *testing.T) {
	for _, s := range []string{
		"00:02:c9:03:00:00:10:39", "20:00:02:c9:03:00:00:10:39", "0002:c903:0000:1039", "52:54:00:12:34:56",
		"80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39",
	} {
		_, err := ParseConfig(cmdline.Parse("ip=" + s + ":dhcp:1500"))
		want := "write it with dashes: ip=" + strings.ReplaceAll(s, ":", "-") + ":dhcp:1500"
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", s, err, want)
		}
	}
}

// A name that is no address is one, be it of hexadecimal digits; what is an address is
// not the name of a link or an adapter.
func TestNamesOfDigits(t *testing.T) {
	for _, name := range []string{
		"a--b", "e0--1", "fe80--1", "dead--beef", "2001-db8--5", "e0-1-2-3", "1-2-3-4-5", "cafe-0001", "123-456-789-012", "525400-123456", "deadbeefcafe", "1234",
	} {
		if m, err := link.ParsePortMatch(name); err != nil || m != (link.PortMatch{Name: name}) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
		if name == "1234" { // is a client's address to ip=, and a wrong one
			continue
		}
		if n := parseLine(t, "ip="+name+":dhcp").Interfaces[0]; n.Device != name || n.Match != "" {
			t.Errorf("ip=%s:dhcp is %+v", name, n)
		}
	}
	for _, s := range []string{"cafe00000001", "123456789012", "5254-0012-3456", "00-02-c9-03", "0-2-c9-3-0-0", "5254.0012.3456"} {
		if m, err := link.ParsePortMatch(s); err == nil {
			t.Errorf("%s is %+v", s, m)
		}
	}
	// ib.pkey= names its parent, which is an adapter by its name.
	for _, line := range []string{"vlan=$:eth0:5", "ifname=$:52:54:00:12:34:56", "bond=$:eth0,eth1:mode=1", "bridge=$:eth0", "ib.pkey=$.8001"} {
		for _, s := range []string{"0x1234567890", "0x2c90300001"} {
			want := s + `" is the address 00:00:`
			if strings.HasPrefix(line, "ib.pkey") {
				want = "names its parent by an address"
			}
			if _, err := ParseConfig(cmdline.Parse(strings.ReplaceAll(line, "$", s))); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %s: %v", line, s, err)
			}
		}
	}
	for value, want := range map[string]link.HardwareAddr{
		"fe80::2:c903:0:1039": linktest.GuideAddr[12:], "20:fe80::2:c903:0:1039": linktest.GuideAddr[12:], "20-fe80::2:c903:0:1039": linktest.GuideAddr[12:],
		"20-00:02-c9:03-00:00-10:39": linktest.GuideAddr[12:], "01:52-54:00-12:34-56": macA,
	} {
		if c := parseLine(t, "BOOTIF="+value); c.BootIF != want {
			t.Errorf("BOOTIF=%s is %v", value, c.BootIF)
		}
	}
}

// An address of IPv6 without its brackets is not taken for a GID, nor one of a GID for it.
func TestBareAddress(t *testing.T) {
	for line, want := range map[string]string{
		"ip=2001:db8::5:::64::eth0:none":                  "write ip=[2001:db8::5]:::64::eth0:none",
		"ip=2001:db8::1:5:::64::eth0:none":                "write ip=[2001:db8::1:5]:::64::eth0:none",
		"ip=2001:db8::5::[2001:db8::1]:64::eth0:none":     "write ip=[2001:db8::5]::[2001:db8::1]:64::eth0:none",
		"ip=2001:db8:0:0:0:0:0:5:::64::eth0:none":         "write ip=[2001:db8:0:0:0:0:0:5]:::64::eth0:none",
		"ip=fe80::2:c903:0:1039:dhcp":                     "write it with dashes: ip=00-02-c9-03-00-00-10-39:dhcp",
		"ip=fec0::1:2:c903:0:1039:dhcp":                   "write it with dashes: ip=00-02-c9-03-00-00-10-39:dhcp",
		"ip=fe80:0000:0000:0000:0002:c903:0000:1039:dhcp": "write it with dashes: ip=fe80-0000-0000-0000-0002-c903-0000-1039:dhcp",
		"ip=00:02:c9:03:00:00:10:39:dhcp":                 "write it with dashes: ip=00-02-c9-03-00-00-10-39:dhcp",
	} {
		if _, err := ParseConfig(cmdline.Parse(line)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", line, err, want)
		}
	}
}

// Digits are the number of a port, or a GUID; never the name of an adapter.
func TestPortSelectorDigits(t *testing.T) {
	for value, want := range map[string]link.PortSelector{
		"1": {Number: 1}, "254": {Number: 254}, "0002903000010390": {GUID: "\x00\x02\x90\x30\x00\x01\x03\x90"}, "mlx4_0:1": {HCA: "mlx4_0", Number: 1},
	} {
		if got := parseLine(t, "nodisk.ib.port="+value).IBPort; got != want {
			t.Errorf("%s is %+v", value, got)
		}
	}
	for _, value := range []string{"0", "255", "1000", "12345", "12345678901", "123456789012", "1234567890123", "12345678901234567", "1:1", "1000:1", ""} {
		if _, err := ParseConfig(cmdline.Parse("nodisk.ib.port=" + value)); err == nil {
			t.Errorf("%q is taken", value)
		}
	}
}

// The bytes of an identifier have two digits each.
func TestSeparatedBytes(t *testing.T) {
	for s, want := range map[string]string{
		"": "", "01": "\x01", "0102": "\x01\x02", "01:02": "\x01\x02", "01-02:0A": "\x01\x02\x0a", "0a0B": "\x0a\x0b",
		"1:02:3": "", "1:2": "", "0102:03": "", "01:0203": "", "01::02": "", ":0102": "", "01:02:": "", "01:": "", ":": "", "012": "", "01:2x": "", "é1:02": "",
	} {
		if got := string(lease.SeparatedBytes(s, ":-")); got != want {
			t.Errorf("%q is % x", s, got)
		}
	}
	for _, line := range []string{"nodisk.dhcp.clientid=hex:1:02:3", "nodisk.dhcp.clientid=hex:0102:03", "ip=eth0:dhcp rd.net.dhcp.client-id=eth0:1-02-3", "nodisk.dhcp.clientid=hex:01-02"} {
		if _, err := ParseConfig(cmdline.Parse(line)); err == nil {
			t.Errorf("%s is taken", line)
		}
	}
	if c := parseLine(t, "nodisk.dhcp.clientid=hex:01:0A:03"); c.ClientID != "hex:010a03" {
		t.Error(c.ClientID)
	}
}
