package link

import (
	"errors"
	"strings"
	"testing"
)

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
		"0x0": ErrZero, "0x0000000000000000": ErrZero, "00-00-00-00-00-00": ErrZero, "20-00-00-00-00-00-00-00-00": ErrZero, "fe80::": ErrZero,
		"80:00:00:48:fe:80:00:00:00:00:00:00:00:00:00:00:00:00:00:00": ErrZero, "fe80:0000:0000:0000:0000:0000:0000:0000": ErrZero,
		// chaddr has 16 bytes; some firmware says less.
		"80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03": ErrCut, "00:00:00:48:12:34:00:00:00:00:00:00:00:02:c9:03": ErrCut,
		"80:00:00:48:fe:80:00:00:00:00:00:00": ErrCut,
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

func TestIdentifies(t *testing.T) {
	for s, want := range map[string]string{
		"00-02-c9-03-00-00-10-39": "ib0", "00-02-c9-00-10-39": "ib0", "80-00-00-49-fe-80-00-00-00-00-00-00-00-02-c9-03-00-00-10-39": "ib0",
		"52-54-00-12-34-56": "eth0", "52-54-00-12-34-57": "", "00-02-c9-03-00-00-10-3a": "",
	} {
		a, err := ParseAddress(s)
		if err != nil {
			t.Errorf("%s: %v", s, err)
		}
		got := ""
		for _, d := range []Device{guidePort(), ethernet(2, "eth0")} {
			if a.Identifies(d) {
				got += d.Name
			}
		}
		if got != want {
			t.Errorf("%s is %q, want %q", s, got, want)
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
