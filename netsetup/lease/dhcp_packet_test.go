package lease

import (
	"bytes"
	"encoding/hex"
	"net/netip"
	"testing"
)

func TestUDP(t *testing.T) {
	src, dst := netip.MustParseAddrPort("0.0.0.0:68"), netip.MustParseAddrPort("255.255.255.255:67")
	p := AppendUDP(nil, src, dst, []byte("abc"))
	// The sums are those of an independent calculation.
	if got, want := hex.EncodeToString(p), "4500001f000040004011"+"3acf"+"00000000ffffffff"+"00440043000b"+"3aef"+"616263"; got != want {
		t.Errorf("packet %s, want %s", got, want)
	}
	padded := append(bytes.Clone(p), make([]byte, 29)...)
	gotSrc, gotDst, payload, err := ParseUDP(padded, true)
	if err != nil || gotSrc != src || gotDst != dst || string(payload) != "abc" {
		t.Errorf("%v -> %v %q, %v", gotSrc, gotDst, payload, err)
	}
	for name, tt := range map[string]struct {
		change func(p []byte) []byte
		ready  bool
		ok     bool
	}{
		"cut":                {func(p []byte) []byte { return p[:25] }, true, false},
		"cut header":         {func(p []byte) []byte { return p[:19] }, true, false},
		"empty":              {func([]byte) []byte { return nil }, true, false},
		"IPv6":               {func(p []byte) []byte { p[0] = 0x65; return p }, true, false},
		"bad header sum":     {func(p []byte) []byte { p[8]--; return p }, true, false},
		"bad sum":            {func(p []byte) []byte { p[28] ^= 1; return p }, true, false},
		"no sum":             {func(p []byte) []byte { p[26], p[27] = 0, 0; p[28] ^= 1; return p }, true, true},
		"partial sum":        {func(p []byte) []byte { p[26], p[27] = 1, 2; return p }, false, true},
		"UDP length too big": {func(p []byte) []byte { p[25]++; return p }, false, false},
		"UDP length 7":       {func(p []byte) []byte { p[25] = 7; return p }, false, false},
		"fragment": {func(p []byte) []byte {
			p[7] = 1
			p[10], p[11] = 0x3a, 0xce
			return p
		}, true, false},
	} {
		if _, _, _, err := ParseUDP(tt.change(bytes.Clone(p)), tt.ready); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzParseUDP(f *testing.F) {
	f.Add(AppendUDP(nil, netip.MustParseAddrPort("10.0.0.1:67"), netip.MustParseAddrPort("10.0.0.2:68"), []byte("payload")), true)
	f.Add([]byte{0x4f, 0, 0, 60}, false)
	f.Fuzz(func(t *testing.T, p []byte, ready bool) {
		src, dst, payload, err := ParseUDP(p, ready)
		if err != nil {
			return
		}
		// What was read is read again from our own packet of it.
		s, d, again, err := ParseUDP(AppendUDP(nil, src, dst, payload), true)
		if err != nil || s != src || d != dst || !bytes.Equal(again, payload) {
			t.Errorf("%v -> %v %x comes back as %v -> %v %x, %v", src, dst, payload, s, d, again, err)
		}
	})
}
