package ibft_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/ibft"
	"github.com/nodisk/nodisk/netsetup/ibft/ibfttest"
)

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

func byValue() cmp.Option {
	return cmp.Comparer(func(a, b netip.Addr) bool { return a == b })
}

// full is a table with all there can be.
func full() ibft.Table {
	return ibft.Table{
		Initiator: "iqn.2010-04.org.ipxe:node7",
		NICs: []ibft.NIC{
			{
				Selected: true, MAC: [6]byte{0x52, 0x54, 0, 0x12, 0x34, 0x56}, Addr: addr("10.0.0.5"), Bits: 24, Gateway: addr("10.0.0.1"),
				DNS: []netip.Addr{addr("10.0.0.2"), addr("10.0.0.3")}, DHCP: true, VLAN: 5, Hostname: "node7",
			},
			{Index: 1, MAC: [6]byte{0x52, 0x54, 0, 0x12, 0x34, 0x57}, Addr: addr("2001:db8::5"), Bits: 64},
		},
		Targets: []ibft.Target{
			{Selected: true, Addr: addr("10.0.0.1"), Port: 3260, LUN: 0x0001_0000_0000_0000, Name: "iqn.2026-01.test:a"},
			{Index: 1, Addr: addr("2001:db8::1"), Port: 860, LUN: 0x4752_3a4f_b7da_1c0d, Name: "iqn.2026-01.test:b", NIC: 1, CHAP: ibft.CHAPMutual, User: "me"},
		},
	}
}

func TestParse(t *testing.T) {
	for name, want := range map[string]ibft.Table{
		"full":  full(),
		"empty": {},
		"no address": {
			NICs:    []ibft.NIC{{Index: 3, MAC: [6]byte{2}}},
			Targets: []ibft.Target{{Index: 7, Name: "iqn.2026-01.test:c"}},
		},
		"four targets": {Targets: []ibft.Target{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := ibfttest.Write(want)
			got, err := ibft.Parse(append(b, "behind it"...))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got, byValue()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if strings.Contains(fmt.Sprintf("%+v", got), ibfttest.Secret) {
				t.Error("a secret is read")
			}
		})
	}
}

// Firmwares differ in how they write an address of IPv4, and whether they count
// the NUL behind a text.
func TestParseSpellings(t *testing.T) {
	b := ibfttest.Write(full())
	nic := binary.LittleEndian.Uint16(b[48+8+2:])
	copy(b[nic+6:], make([]byte, 12)) // ::10.0.0.5
	target := binary.LittleEndian.Uint16(b[48+8+4:])
	b[target+34]++ // the NUL is counted
	ibfttest.Seal(b)
	got, err := ibft.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(full(), got, byValue()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A structure that is not valid is not there.
	b[target+5] = 2
	ibfttest.Seal(b)
	want := full()
	want.Targets = want.Targets[1:]
	if got, err = ibft.Parse(b); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, byValue()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestParseErrors(t *testing.T) {
	nic := func(b []byte) int { return int(binary.LittleEndian.Uint16(b[48+8+2:])) }
	for want, change := range map[string]func([]byte) []byte{
		"has 10 bytes, less than a header":  func(b []byte) []byte { return b[:10] },
		`begins with "APIC", not with iBFT`: func(b []byte) []byte { copy(b, "APIC"); return b },
		"bytes and says that it has 65535":  func(b []byte) []byte { binary.LittleEndian.PutUint32(b[4:], 65535); return b },
		"says that it has 47":               func(b []byte) []byte { binary.LittleEndian.PutUint32(b[4:], 47); return b },
		"has a wrong checksum":              func(b []byte) []byte { b[60]++; return b },
		"of kind 9 at byte 48, not of kind": func(b []byte) []byte { b[48] = 9; ibfttest.Seal(b); return b },
		"has a structure of kind 1 with 3 ": func(b []byte) []byte { b[50] = 3; ibfttest.Seal(b); return b },
		"at byte 60000 of":                  func(b []byte) []byte { binary.LittleEndian.PutUint16(b[48+8:], 60000); ibfttest.Seal(b); return b },
		"has a structure at byte 47":        func(b []byte) []byte { binary.LittleEndian.PutUint16(b[48+8:], 47); ibfttest.Seal(b); return b },
		"of kind 3 with 50 bytes":           func(b []byte) []byte { b[nic(b)+2] = 50; ibfttest.Seal(b); return b },
		"of kind 3 with 65382 bytes":        func(b []byte) []byte { b[nic(b)+3] = 255; ibfttest.Seal(b); return b },
		"has the host name at byte 65280 of": func(b []byte) []byte {
			binary.LittleEndian.PutUint16(b[nic(b)+100:], 0xff00)
			ibfttest.Seal(b)
			return b
		},
		"with 65535 bytes": func(b []byte) []byte {
			binary.LittleEndian.PutUint16(b[nic(b)+98:], 0xffff)
			ibfttest.Seal(b)
			return b
		},
	} {
		t.Run(want, func(t *testing.T) {
			got, err := ibft.Parse(change(ibfttest.Write(full())))
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%v, %+v, want an error with %q", err, got, want)
			}
		})
	}
}

// sysfs is a /sys with these files, one "name=content" a line, below
// firmware/ibft unless they begin with a slash.
func sysfs(lines string) fstest.MapFS {
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
		fsys[path] = &fstest.MapFile{Data: []byte(content + "\n")}
	}
	return fsys
}

// What the module shows of the same table. The secret is there, and stays there.
const shown = `
	initiator/flags=3
	initiator/initiator-name=iqn.2010-04.org.ipxe:node7
	ethernet0/flags=3
	ethernet0/mac=52:54:00:12:34:56
	ethernet0/ip-addr=10.0.0.5
	ethernet0/prefix-len=24
	ethernet0/subnet-mask=255.255.255.0
	ethernet0/gateway=10.0.0.1
	ethernet0/primary-dns=10.0.0.2
	ethernet0/secondary-dns=10.0.0.3
	ethernet0/origin=3
	ethernet0/vlan=5
	ethernet0/hostname=node7
	ethernet1/flags=1
	ethernet1/mac=52:54:00:12:34:57
	ethernet1/ip-addr=2001:0db8:0000:0000:0000:0000:0000:0005
	ethernet1/prefix-len=64
	target0/flags=3
	target0/ip-addr=10.0.0.1
	target0/port=3260
	target0/lun=01000000
	target0/target-name=iqn.2026-01.test:a
	target1/flags=1
	target1/ip-addr=2001:0db8:0000:0000:0000:0000:0000:0001
	target1/port=860
	target1/lun=47523a4fb7da1c1d
	target1/nic-assoc=1
	target1/chap-type=2
	target1/chap-name=me
	target1/chap-secret=insecret12345
	target1/target-name=iqn.2026-01.test:b
`

func TestReadSysfs(t *testing.T) {
	got, err := ibft.Read(sysfs(shown))
	if err != nil {
		t.Fatal(err)
	}
	want := full()
	want.Targets[1].LUN = 0x4752_3a4f_b7da_1c1d
	if diff := cmp.Diff(want, got, byValue()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReadLUN(t *testing.T) {
	for text, want := range map[string]uint64{
		"":                 0,
		"00000000":         0,
		"01000000":         0x0001_0000_0000_0000,
		"0a000000":         0x000a_0000_0000_0000,
		"010000000":        0x0010_0000_0000_0000,
		"0ff000000":        0x00ff_0000_0000_0000,
		"4110000000":       0x4110_0000_0000_0000,
		"12345678":         0x0102_0304_0506_0708,
		"47523a4fb7da1c1d": 0x4752_3a4f_b7da_1c1d,
		"411000000":        1, // 41 1 or 4 11
		"0112345":          1,
		"x1000000":         1,
		"123456789abcdef":  1,
	} {
		got, err := ibft.Read(sysfs("target0/flags=1\ntarget0/lun=" + text))
		switch {
		case want == 1:
			if damaged, ok := errors.AsType[*ibft.DamagedError](err); !ok || damaged.Place != "/sys/firmware/ibft/target0/lun" {
				t.Errorf("%q: %v, want an error", text, err)
			}
		case err != nil:
			t.Errorf("%q: %v", text, err)
		case got.Targets[0].LUN != want:
			t.Errorf("%q: %016x, want %016x", text, got.Targets[0].LUN, want)
		}
	}
}

// The table of ACPI goes first: it needs no module. What is damaged is told only
// if there is nothing else.
func TestRead(t *testing.T) {
	raw := string(ibfttest.Write(full()))
	other := ibfttest.Write(ibft.Table{Initiator: "iqn.2026-01.test:other"})
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	const tables = "firmware/acpi/tables/"
	for name, tt := range map[string]struct {
		sys     fstest.MapFS
		want    string // initiator
		err     string
		visible bool
	}{
		"nothing":      {sys: fstest.MapFS{}, err: "the firmware left no iBFT (neither /sys/firmware/acpi/tables/iBFT nor /sys/firmware/ibft is there)"},
		"other tables": {sys: fstest.MapFS{tables + "APIC": file("x"), tables + "dynamic/iBFT": file("x")}, err: "left no iBFT"},
		"ACPI":         {sys: fstest.MapFS{tables + "iBFT": file(raw)}, want: "iqn.2010-04.org.ipxe:node7", visible: true},
		"upper case":   {sys: fstest.MapFS{tables + "IBFT": file("IBFT" + raw[4:])}, err: "tables/IBFT has a wrong checksum", visible: true},
		"several":      {sys: fstest.MapFS{tables + "iBFT1": file(raw[:50]), tables + "iBFT2": file(raw)}, want: "iqn.2010-04.org.ipxe:node7", visible: true},
		"both": {
			sys:  fstest.MapFS{tables + "iBFT": file(string(other)), ibft.Dir + "/initiator/flags": file("3"), ibft.Dir + "/initiator/initiator-name": file("x")},
			want: "iqn.2026-01.test:other", visible: true,
		},
		"module alone": {sys: sysfs(shown), want: "iqn.2010-04.org.ipxe:node7", visible: true},
		"damaged": {
			sys: fstest.MapFS{tables + "iBFT": file(raw[:100])}, visible: true,
			err: "the firmware's iBFT is damaged: /sys/firmware/acpi/tables/iBFT has 100 bytes and says that it has",
		},
		"damaged, and the module's": {
			sys:  fstest.MapFS{tables + "iBFT": file(raw[:100]), ibft.Dir + "/initiator/flags": file("3"), ibft.Dir + "/initiator/initiator-name": file("x")},
			want: "x", visible: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ibft.Read(tt.sys)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Errorf("%v, want an error with %q", err, tt.err)
				}
			} else if err != nil || got.Initiator != tt.want {
				t.Errorf("%q, %v, want %q", got.Initiator, err, tt.want)
			}
			if got := ibft.Visible(tt.sys); got != tt.visible {
				t.Errorf("visible: %v", got)
			}
		})
	}
}

// No table makes it read behind its end.
func FuzzParse(f *testing.F) {
	f.Add(ibfttest.Write(full()))
	f.Add(ibfttest.Write(ibft.Table{}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if b = slices.Clone(b); len(b) >= 48 {
			ibfttest.Seal(b) // most would end there
		}
		got, err := ibft.Parse(b)
		if err != nil {
			if len(err.Error()) > 300 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if len(got.NICs)+len(got.Targets) > 64 {
			t.Errorf("%d structures", len(got.NICs)+len(got.Targets))
		}
		for _, n := range got.NICs {
			if len(n.Hostname) > len(b) || n.Addr.Is4In6() {
				t.Errorf("%+v", n)
			}
		}
	})
}
