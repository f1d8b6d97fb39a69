package netsetup

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// ipoibA and ipoibB are addresses of ports: flags, queue pair, subnet prefix,
// GUID.
const (
	ipoibA = HardwareAddr("\x80\x00\x00\x48\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x10\x39")
	ipoibB = HardwareAddr("\x80\x00\x00\x49\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x02\xc9\x03\x00\x00\x20\x41")
)

// The bytes of the packets, written down from the tables of RFC 826, RFC 903 and
// RFC 4391.
func TestARPBytes(t *testing.T) {
	for name, tt := range map[string]struct {
		packet arpPacket
		want   string
	}{
		"probe": {
			arpPacket{hwType: hwEthernet, op: arpRequest, sender: macA, targetIP: addr("10.77.0.23")},
			"0001 0800 06 04 0001 525400123456 00000000 000000000000 0a4d0017",
		},
		"announcement": {
			arpPacket{hwType: hwEthernet, op: arpRequest, sender: macA, senderIP: addr("10.77.0.23"), targetIP: addr("10.77.0.23")},
			"0001 0800 06 04 0001 525400123456 0a4d0017 000000000000 0a4d0017",
		},
		"reply": {
			arpPacket{hwType: hwEthernet, op: arpReply, sender: macB, senderIP: addr("10.77.0.23"), target: macA},
			"0001 0800 06 04 0002 525400123457 0a4d0017 525400123456 00000000",
		},
		"RARP": {
			arpPacket{hwType: hwEthernet, op: rarpRequest, sender: macA, target: macA},
			"0001 0800 06 04 0003 525400123456 00000000 525400123456 00000000",
		},
		"InfiniBand": {
			arpPacket{hwType: hwInfiniBand, op: arpRequest, sender: ipoibA, targetIP: addr("10.77.0.23")},
			"0020 0800 14 04 0001 80000048fe800000000000000002c90300001039 00000000 0000000000000000000000000000000000000000 0a4d0017",
		},
	} {
		got := tt.packet.bytes()
		if want := strings.ReplaceAll(tt.want, " ", ""); hex.EncodeToString(got) != want {
			t.Errorf("%s: %x, want %s", name, got, want)
		}
		again, ok := parseARP(append(got, make([]byte, 18)...), tt.packet.hwType) // as Ethernet pads it
		if tt.packet.target == "" {
			tt.packet.target = HardwareAddr(make([]byte, len(tt.packet.sender)))
		}
		if !ok || again != tt.packet {
			t.Errorf("%s: read as %+v, %v", name, again, ok)
		}
	}
}

func TestParseARPRefuses(t *testing.T) {
	good := (&arpPacket{hwType: hwEthernet, op: arpRequest, sender: macA, targetIP: addr("10.77.0.23")}).bytes()
	for name, change := range map[string]func(b []byte) []byte{
		"empty":         func([]byte) []byte { return nil },
		"cut":           func(b []byte) []byte { return b[:27] },
		"other link":    func(b []byte) []byte { b[1] = 32; return b },
		"other network": func(b []byte) []byte { b[2] = 0x86; return b },
		"long hardware": func(b []byte) []byte { b[4] = 20; return b },
		"long address":  func(b []byte) []byte { b[5] = 16; return b },
	} {
		if a, ok := parseARP(change(append([]byte(nil), good...)), hwEthernet); ok {
			t.Errorf("%s: %+v", name, a)
		}
	}
	if _, ok := parseARP(good, hwLoopback); ok {
		t.Error("a link without ARP")
	}
}

func FuzzParseARP(f *testing.F) {
	for _, p := range []arpPacket{
		{hwType: hwEthernet, op: arpRequest, sender: macA, targetIP: addr("10.77.0.23")},
		{hwType: hwEthernet, op: arpReply, sender: macB, senderIP: addr("10.77.0.23"), target: macA, targetIP: addr("10.77.0.1")},
		{hwType: hwEthernet, op: rarpReply, sender: macB, senderIP: addr("10.77.0.1"), target: macA, targetIP: addr("10.77.0.23")},
		{hwType: hwInfiniBand, op: arpReply, sender: ipoibB, senderIP: addr("10.77.0.23"), target: ipoibA},
	} {
		f.Add(p.bytes(), p.hwType == hwInfiniBand)
	}
	f.Add([]byte{0, 1, 8, 0, 6, 4, 0, 1}, false)
	f.Fuzz(func(t *testing.T, b []byte, infiniBand bool) {
		hwType := uint16(hwEthernet)
		if infiniBand {
			hwType = hwInfiniBand
		}
		a, ok := parseARP(b, hwType)
		if !ok {
			return
		}
		if a.senderIP == netip.IPv4Unspecified() || len(a.sender) != arpAddrLen(hwType) || len(a.target) != len(a.sender) {
			t.Errorf("%+v", a)
		}
		again := a.bytes()
		if string(again) != string(b[:len(again)]) {
			t.Errorf("% x comes back as % x", b, again)
		}
	})
}
