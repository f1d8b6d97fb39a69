package kmsg

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestParse(t *testing.T) {
	got, err := Parse([]byte("28,1021,5140900,-,caller=T1;ext4: Unknown symbol jbd2_\\x5c\\xzz (err -2)\n SUBSYSTEM=module\n DEVICE=+x\n"))
	if err != nil {
		t.Fatal(err)
	}
	want := Record{Priority: 4, Sequence: 1021, Time: 5140900 * time.Microsecond, Message: `ext4: Unknown symbol jbd2_\\xzz (err -2)`}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for record, want := range map[string]string{
		"3,1034,4816731,-;EXT4-fs (sda): VFS: Can't find ext4 filesystem\n": "EXT4-fs (sda): VFS: Can't find ext4 filesystem",
		"6,339,5140900,-,caller=T1;NET: x; y\n SUBSYSTEM=net\n DEVICE=n2\n": "NET: x; y",
	} {
		if got, err := Parse([]byte(record)); err != nil || got.Message != want {
			t.Errorf("%q: %q, %v", record, got.Message, err)
		}
	}
	for _, bad := range []string{"", "6,1,2", "garbage", "6,1;x", "a,1,2;x", "6,b,2;x", "6,1,c;x", "6,1,-2,-;x", "6,1,99999999999999999999,-;x"} {
		if r, err := Parse([]byte(bad)); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", bad, r)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("6,339,5140900,-;NET: Registered\n"))
	f.Add([]byte("4,1,0,c;a\\x0ab\\x\n K=V"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := Parse(data)
		if err == nil && (r.Priority < 0 || r.Priority > 7 || r.Time < 0) {
			t.Errorf("%+v from %q", r, data)
		}
	})
}
