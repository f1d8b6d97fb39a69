package link

import (
	"testing"
)

// The table has every attribute that the kernel has.
func TestBondTable(t *testing.T) {
	attrs := map[uint8]string{}
	for _, o := range BondTable() {
		if other := attrs[o.Attr]; other != "" || o.Attr == 0 || o.Kind == 0 || o.Modes == 0 {
			t.Errorf("%s: attribute %d is that of %q, kind %d, modes %b", o.Name, o.Attr, other, o.Kind, o.Modes)
		}
		attrs[o.Attr] = o.Name
		if o.Needs != "" && FindBondOption(BondTable(), o.Needs) < 0 {
			t.Errorf("%s needs %s, which is no option", o.Name, o.Needs)
		}
		// What an error tells to write is right itself.
		if _, ok := o.Read(o.Example()); !ok && !o.List() {
			t.Errorf("%s: the example %s cannot be read", o.Name, o.Example())
		}
	}
	// IFLA_BOND_AD_INFO is told by the kernel only.
	for attr := uint8(1); attr <= 34; attr++ {
		if attrs[attr] == "" && attr != 23 {
			t.Errorf("attribute %d of include/uapi/linux/if_link.h is not in the table", attr)
		}
	}
}

// The text of an option is what it is read from, and fits its attribute.
func FuzzBondOption(f *testing.F) {
	for i, o := range BondTable() {
		f.Add(i, o.Example())
		f.Add(i, o.words)
	}
	f.Add(6, "[2001:db8::1")
	f.Add(1, "99999999999999999999")
	f.Fuzz(func(t *testing.T, i int, s string) {
		table := BondTable()
		if i < 0 || i >= len(table) {
			return
		}
		o := table[i]
		text, ok := o.Read(s)
		if !ok {
			return
		}
		if again, ok := o.Read(text); !ok && o.Kind != BondPort || again != text {
			t.Fatalf("%s=%q is %q, which is %q, %v", o.Name, s, text, again, ok)
		}
		if v, ok := o.number(text); o.size > 0 && (!ok || v < 0 || uint64(v) >= 1<<(8*o.size)) {
			t.Fatalf("%s=%q is the number %d (%v) in %d bytes", o.Name, s, v, ok, o.size)
		}
	})
}
