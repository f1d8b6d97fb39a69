package modload

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParseRecord(t *testing.T) {
	got, err := ParseRecord([]byte("28,1021,5140900,-,caller=T1;ext4: Unknown symbol jbd2_\\x5c\\xzz (err -2)\n" +
		" SUBSYSTEM=module\n DEVICE=+x\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Record{Priority: 4, Sequence: 1021, Time: 5140900 * time.Microsecond,
		Message: `ext4: Unknown symbol jbd2_\\xzz (err -2)`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "6,1,2", "6,1;x", "a,1,2;x", "6,b,2;x", "6,1,c;x", "6,1,-2,-;x",
		"6,1,99999999999999999999,-;x"} {
		if r, err := ParseRecord([]byte(bad)); err == nil {
			t.Errorf("ParseRecord(%q) = %+v, want an error", bad, r)
		}
	}
}

func FuzzParseRecord(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;NET: Registered\n"))
	f.Add([]byte("4,1,0,c;a\\x0ab\\x\n K=V"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := ParseRecord(data)
		if err == nil && (r.Priority < 0 || r.Priority > 7 || r.Time < 0) {
			t.Errorf("%+v from %q", r, data)
		}
		_ = sentence("ext4", []string{r.Message})
	})
}

func TestSentence(t *testing.T) {
	for name, tt := range map[string]struct {
		messages []string
		want     string
	}{
		"version before the symbols that follow": {
			[]string{"ext4: Unknown symbol a (err -2)", "ext4: disagrees about version of symbol module_layout"},
			"ext4: disagrees about version of symbol module_layout",
		},
		"others speak too": {
			[]string{"ext4_more: Unknown symbol x (err 0)", "myext4: hello", "xfs: Unknown symbol y (err 0)",
				"ext4: said this"},
			"ext4: said this",
		},
		"nobody named": {[]string{"eth0: link up", "Loading of unsigned module is rejected"},
			"Loading of unsigned module is rejected"},
		"nothing at all":  {nil, ""},
		"nothing of it":   {[]string{"eth0: link up"}, ""},
		"dashes":          {[]string{"in ext4-: fault"}, ""},
		"at the very end": {[]string{"bad module ext4"}, "bad module ext4"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := sentence("ext4", tt.messages); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if !about("crc32c_intel", "crc32c-intel: no") {
		t.Error("a driver that writes its name with a dash is not recognised")
	}
}
