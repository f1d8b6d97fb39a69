package lease

import (
	"slices"
	"testing"
)

func TestParseClientID(t *testing.T) {
	for _, f := range append(AutoForms(), "auto", "none", "hex:0102") {
		if id, err := ParseClientID(string(f)); err != nil || id != f {
			t.Errorf("%s: %s, %v", f, id, err)
		}
	}
	for _, s := range []string{"", "GUID", "hex:", "hex:0", "hex:01", "infiniband:"} {
		if id, err := ParseClientID(s); err == nil {
			t.Errorf("%q is %s", s, id)
		}
	}
	if forms := AutoForms(); slices.Index(forms, "guid") > slices.Index(forms, "infiniband") {
		t.Errorf("%v: what RFC 4390 has comes first", forms)
	}
}
