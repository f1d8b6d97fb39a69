package acpi

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func testFADT(pm1a, pm1b, flags uint32) []byte {
	b := append([]byte("FACP"), make([]byte, 240)...)
	binary.LittleEndian.PutUint32(b[64:], pm1a)
	binary.LittleEndian.PutUint32(b[68:], pm1b)
	binary.LittleEndian.PutUint32(b[112:], flags)
	return b
}

func TestParseSoftOff(t *testing.T) {
	const (
		qemu  = "DSDT....\x08_S5_\x12\x06\x04\x00\x00\x00\x00rest"
		intel = `\_S5_` + "\x08" + `\_S5_` + "\x12\x0a\x04\x0a\x07\x0a\x05\x00\x00"
		long  = "\x08_S5_\x12\x47\x01\x02\x01\x0a\x02"
	)
	for name, tt := range map[string]struct {
		fadt []byte
		dsdt string
		want SoftOff
		err  string
	}{
		"QEMU":          {testFADT(0x604, 0, 0), qemu, SoftOff{[]uint16{0x604}, []uint16{0x2001}}, ""},
		"two registers": {testFADT(0x1804, 0x1904, 0), intel, SoftOff{[]uint16{0x1804, 0x1904}, []uint16{0x3c01, 0x3401}}, ""},
		"long package":  {testFADT(0x404, 0, 0), long, SoftOff{[]uint16{0x404}, []uint16{0x2401}}, ""},
		"reduced":       {testFADT(0x604, 0, 1<<20), qemu, SoftOff{}, "no PM1 registers"},
		"no register":   {testFADT(0, 0, 0), qemu, SoftOff{}, "no PM1 registers"},
		"no S5":         {testFADT(0x604, 0, 0), "DSDT_S4_", SoftOff{}, `no \_S5`},
		"cut":           {testFADT(0x604, 0, 0), "\x08_S5_\x12\x06\x04\x0a", SoftOff{}, `no \_S5`},
		"no FADT":       {[]byte("FACP"), qemu, SoftOff{}, "it is not one"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseSoftOff(tt.fadt, []byte(tt.dsdt))
			if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(SoftOff{})); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzParseS5(f *testing.F) {
	f.Add([]byte("\x08_S5_\x12\x06\x04\x00\x0a\x05\x00\x00"))
	f.Fuzz(func(t *testing.T, aml []byte) {
		types, err := parseS5(aml)
		if err == nil && (types[0] > 7 || types[1] > 7) {
			t.Errorf("%v", types)
		}
	})
}
