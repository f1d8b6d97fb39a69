package arp

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"

	"github.com/nodisk/nodisk/netsetup/link"
)

// The bytes of the packets, written down from the tables of RFC 826, RFC 903 and
// RFC 4391.
func TestBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		packet Packet
		want   string
	}{
		"probe": {
			Packet{HwType: link.HwEthernet, Op: Request, Sender: macA, TargetIP: addr("10.77.0.23")},
			"0001 0800 06 04 0001 525400123456 00000000 000000000000 0a4d0017",
		},
		"announcement": {
			Packet{HwType: link.HwEthernet, Op: Request, Sender: macA, SenderIP: addr("10.77.0.23"), TargetIP: addr("10.77.0.23")},
			"0001 0800 06 04 0001 525400123456 0a4d0017 000000000000 0a4d0017",
		},
		"reply": {
			Packet{HwType: link.HwEthernet, Op: Reply, Sender: macB, SenderIP: addr("10.77.0.23"), Target: macA},
			"0001 0800 06 04 0002 525400123457 0a4d0017 525400123456 00000000",
		},
		"RARP": {
			Packet{HwType: link.HwEthernet, Op: RARPRequest, Sender: macA, Target: macA},
			"0001 0800 06 04 0003 525400123456 00000000 525400123456 00000000",
		},
		"InfiniBand": {
			Packet{HwType: link.HwInfiniBand, Op: Request, Sender: ipoibA, TargetIP: addr("10.77.0.23")},
			"0020 0800 14 04 0001 80000048fe800000000000000002c90300001039 00000000 0000000000000000000000000000000000000000 0a4d0017",
		},
	} {
		got := tt.packet.Bytes()
		if want := strings.ReplaceAll(tt.want, " ", ""); hex.EncodeToString(got) != want {
			t.Errorf("%s: %x, want %s", name, got, want)
		}
		again, ok := Parse(append(got, make([]byte, 18)...), tt.packet.HwType) // as Ethernet pads it
		if tt.packet.Target == "" {
			tt.packet.Target = link.HardwareAddr(make([]byte, len(tt.packet.Sender)))
		}
		if !ok || again != tt.packet {
			t.Errorf("%s: read as %+v, %v", name, again, ok)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	good := (&Packet{HwType: link.HwEthernet, Op: Request, Sender: macA, TargetIP: addr("10.77.0.23")}).Bytes()
	for name, change := range map[string]func(b []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut":           func(b []byte) []byte { return b[:27] },
		"other link":    func(b []byte) []byte { b[1] = 32; return b },
		"other network": func(b []byte) []byte { b[2] = 0x86; return b },
		"long hardware": func(b []byte) []byte { b[4] = 20; return b },
		"long address":  func(b []byte) []byte { b[5] = 16; return b },
	} {
		if a, ok := Parse(change(append([]byte(nil), good...)), link.HwEthernet); ok {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if _, ok := Parse(good, link.HwLoopback); ok {
		t.Error("a link without ARP")
	}
}

func FuzzParse(f *testing.F) {
	for _, p := range []Packet{
		{HwType: link.HwEthernet, Op: Request, Sender: macA, TargetIP: addr("10.77.0.23")},
		{HwType: link.HwEthernet, Op: Reply, Sender: macB, SenderIP: addr("10.77.0.23"), Target: macA, TargetIP: addr("10.77.0.1")},
		{HwType: link.HwEthernet, Op: RARPReply, Sender: macB, SenderIP: addr("10.77.0.1"), Target: macA, TargetIP: addr("10.77.0.23")},
		{HwType: link.HwInfiniBand, Op: Reply, Sender: ipoibB, SenderIP: addr("10.77.0.23"), Target: ipoibA},
	} {
		f.Add(p.Bytes(), p.HwType == link.HwInfiniBand)
	}
	f.Add([]byte{0, 1, 8, 0, 6, 4, 0, 1}, false)
	f.Fuzz(func(t *testing.T, b []byte, infiniBand bool) {
		hwType := uint16(link.HwEthernet)
		if infiniBand {
			hwType = link.HwInfiniBand
		}
		a, ok := Parse(b, hwType)
		if !ok {
			return
		}
		if a.SenderIP == netip.IPv4Unspecified() || len(a.Sender) != AddrLen(hwType) || len(a.Target) != len(a.Sender) {
			t.Errorf("%+v", a)
		}
		again := a.Bytes()
		if string(again) != string(b[:len(again)]) {
			t.Errorf("% x comes back as % x", b, again)
		}
	})
}
