package lease

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/insomniacslk/dhcp/dhcpv6"
	"github.com/insomniacslk/dhcp/iana"
	"github.com/insomniacslk/dhcp/rfc1035label"

	"github.com/nodisk/nodisk/netsetup/lease/leasetest"
	"github.com/nodisk/nodisk/netsetup/link"
)

// The bytes of the messages, by the eyes of another implementation.
func TestMessage6(t *testing.T) {
	b := newBench6(t, MethodDHCP6)
	b.x.Client.Rapid, b.x.Client.Vendor, b.x.Client.User, b.x.Client.Hostname = true, "PXEClient", "nodisk", "node7.example.org"
	b.begin()
	b.wait(1500 * time.Millisecond)
	b.linkLocal()
	m, err := dhcpv6.MessageFromBytes(b.last.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if m.MessageType != dhcpv6.MessageTypeSolicit || m.TransactionID != [3]byte{0, 0, 1} {
		t.Errorf("%s", m.Summary())
	}
	duid := m.Options.ClientID().ToBytes()
	if link.HardwareAddr(duid).String() != "00:04:4c:4c:45:44:00:42:35:10:80:44:b4:c0:4f:4a:37:32" {
		t.Errorf("DUID %s", link.HardwareAddr(duid))
	}
	ia := m.Options.OneIANA()
	if ia == nil || ia.IaId != [4]byte{byte(b.x.Client.IAID >> 24), byte(b.x.Client.IAID >> 16), byte(b.x.Client.IAID >> 8), byte(b.x.Client.IAID)} || len(ia.Options.Addresses()) != 0 {
		t.Errorf("IA_NA %v", ia)
	}
	if got := m.Options.ElapsedTime(); got != 1500*time.Millisecond {
		t.Errorf("elapsed time %s", got)
	}
	if m.GetOneOption(dhcpv6.OptionRapidCommit) == nil {
		t.Error("no rapid commit")
	}
	if got := fmt.Sprint(m.Options.RequestedOptions()); got != fmt.Sprint(dhcpv6.OptionCodes{23, 24, 31, 39, 56, 59, 82}) {
		t.Errorf("asks for %s", got)
	}
	if got := m.Options.UserClasses(); len(got) != 1 || string(got[0]) != "nodisk" {
		t.Errorf("user class %q", got)
	}
	if got := m.Options.VendorClass(343); len(got) != 1 || string(got[0]) != "PXEClient" {
		t.Errorf("vendor class %q", got)
	}
	if got := m.Options.FQDN(); got == nil || got.Flags != 1 || got.DomainName.Labels[0] != "node7.example.org" {
		t.Errorf("FQDN %v", got)
	}
	b.x.Client.Hostname = "node7"
	b.wait(time.Minute)
	m, err = dhcpv6.MessageFromBytes(b.last.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.GetOneOption(dhcpv6.OptionFQDN).ToBytes(); string(got) != "\x01\x05node7" {
		t.Errorf("part of a name: %q", got)
	}
}

func TestDUID(t *testing.T) {
	ethernet := link.Device{Type: link.HwEthernet, Addr: macA}
	for uuid, want := range map[string]string{
		testUUID + "\n":                        "00:04:4c:4c:45:44:00:42:35:10:80:44:b4:c0:4f:4a:37:32",
		"":                                     "00:03:00:01:" + macA.String(),
		"00000000-0000-0000-0000-000000000000": "00:03:00:01:" + macA.String(),
		"FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF": "00:03:00:01:" + macA.String(),
		"4c4c4544":                             "00:03:00:01:" + macA.String(),
	} {
		if got := link.HardwareAddr(NewDUID(uuid, ethernet)).String(); got != want {
			t.Errorf("%q: %s", uuid, got)
		}
	}
	ib := link.Device{Type: link.HwInfiniBand, Addr: link.HardwareAddr("\x80\x00\x04\x04\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")}
	if got := link.HardwareAddr(NewDUID("", ib)).String(); got != "00:03:00:20:00:02:c9:03:00:00:10:39" {
		t.Errorf("InfiniBand: %s", got)
	}
	// CRC-32 of "123456789" is cbf43926; begun with zero and not inverted it
	// is 2dfd2d88.
	if got := IAIDOf(link.Device{Type: link.HwEthernet, Addr: "123456789"}); got != 0x2dfd2d88 {
		t.Errorf("IAID %08x", got)
	}
	if got, want := IAIDOf(ib), IAIDOf(link.Device{Type: link.HwEthernet, Addr: "\x00\x02\xc9\x00\x10\x39"}); got != want {
		t.Errorf("IAID of InfiniBand %08x, of its six bytes %08x", got, want)
	}
}

// What the library would take and is refused, and what it would refuse and is taken.
func TestAnswer6(t *testing.T) {
	const head = "\x07\x00\x00\x01"
	for name, tt := range map[string]struct {
		options string
		bad     dhcpv6.OptionCode
		search  string
	}{
		"bytes behind the last option":     {"\x00\x0e\x00\x00\x00\x00", 1, ""},
		"bytes behind the last of an IA":   {"\x00\x03\x00\x0d\x00\x00\x00\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00", dhcpv6.OptionIANA, ""},
		"cut off, of number 0":             {"\x00\x00\x00\x09\x00", 1, ""},
		"cut off, without a byte":          {"\x00\x17\x00\x10", dhcpv6.OptionDNSRecursiveNameServer, ""},
		"identifier of a server too short": {"\x00\x02\x00\x02\x00\x04", dhcpv6.OptionServerID, ""},
		"status without a number":          {"\x00\x0d\x00\x01\x00", dhcpv6.OptionStatusCode, ""},
		"SOL_MAX_RT too short":             {"\x00\x52\x00\x03\x00\x00\x00", dhcpv6.OptionSolMaxRT, ""},
		"DUID-UUID of two bytes":           {"\x00\x02\x00\x04\x00\x04\x01\x02", 0, ""},
		"a relayed message that is none":   {"\x00\x09\x00\x01\x0c", 0, ""},
		"a DHCPv4 message that is none":    {"\x00\x57\x00\x01\x02", 0, ""},
		"user class without a byte":        {"\x00\x0f\x00\x00", 0, ""},
		"an IA of another number":          {"\x00\x03\x00\x0d\x00\x00\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00", 0, ""},
		"a name":                           {"\x00\x18\x00\x05\x03lan\x00", 0, "lan"},
		"a name that is compressed":        {"\x00\x18\x00\x07\x03lan\x00\xc0\x00", 0, "lan"},
	} {
		t.Run(name, func(t *testing.T) {
			a := parseAnswer6([]byte(head+tt.options), 7)
			if a.bad != tt.bad || strings.Join(a.search, " ") != tt.search {
				t.Errorf("option %d cannot be read, search %q", a.bad, a.search)
			}
		})
	}
}

// FuzzAnswer6 feeds a client in every phase.
func FuzzAnswer6(f *testing.F) {
	t := &testing.T{}
	b := newBench6(t, MethodDHCP6)
	b.begin()
	b.linkLocal()
	f.Add(b.reply(dhcpv6.MessageTypeAdvertise, b.granted(), names, leasetest.Status(iana.StatusNoAddrsAvail, "no")))
	f.Add(b.reply(dhcpv6.MessageTypeReply, b.granted(), func(m *dhcpv6.Message) {
		m.AddOption(dhcpv6.OptDomainSearchList(&rfc1035label.Labels{Labels: []string{"example.org"}}))
		m.AddOption(ntpOption())
		m.AddOption(&dhcpv6.OptFQDN{DomainName: &rfc1035label.Labels{Labels: []string{"node7"}}})
	}))
	f.Add([]byte{2, 0, 0, 1, 0, 3, 0, 0})
	f.Fuzz(func(t *testing.T, p []byte) {
		a := parseAnswer6(p, IAIDOf(link.Device{Type: link.HwEthernet, Addr: macA}))
		if a.addr.IsValid() && (!link.Host6(a.addr) || a.valid == 0 || a.preferred > a.valid) {
			t.Errorf("%+v", a)
		}
		for _, s := range append(a.search, a.fqdn) {
			if s != "" && !link.ValidName(s) {
				t.Errorf("name %q", s)
			}
		}
		for phase := phase6Begin; phase <= phase6Rebinding; phase++ {
			for _, method := range []Method{MethodDHCP6, MethodAuto6, MethodEither6} {
				b := newBench6(t, method)
				b.begin()
				b.linkLocal()
				b.x.phase = phase
				if len(p) >= 4 {
					b.x.xid = uint32(p[1])<<16 | uint32(p[2])<<8 | uint32(p[3])
					b.x.solicited = b.x.xid
				}
				if a.client != nil {
					b.x.Client.DUID = a.client
				}
				b.x.Client.Rapid = true
				b.take(b.x.Receive(b.now, Packet{Src: server6, Payload: p}))
				b.wait(time.Second)
			}
		}
	})
}

// ntpOption is option 56 with one server's address.
func ntpOption() dhcpv6.Option {
	return &dhcpv6.OptionGeneric{
		OptionCode: dhcpv6.OptionNTPServer,
		OptionData: append([]byte{0, 1, 0, 16}, netip.MustParseAddr("2001:db8::7").AsSlice()...),
	}
}
