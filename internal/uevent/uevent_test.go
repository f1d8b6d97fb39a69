package uevent

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var addSDA = []byte("add@/devices/platform/host0/session1/target0:0:0/0:0:0:1/block/sda\x00ACTION=add\x00" +
	"DEVPATH=/devices/platform/host0/session1/target0:0:0/0:0:0:1/block/sda\x00SUBSYSTEM=block\x00MAJOR=8\x00MINOR=0\x00" +
	"DEVNAME=sda\x00DEVTYPE=disk\x00SEQNUM=1234\x00")

func TestParse(t *testing.T) {
	got, err := Parse(addSDA)
	if err != nil {
		t.Fatal(err)
	}
	want := Event{
		Action: "add", DevPath: "/devices/platform/host0/session1/target0:0:0/0:0:0:1/block/sda",
		Subsystem: "block", DevName: "sda",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, bad := range []string{"", "add@/x", "libudev\x00\xfe\xed\xca\xfe", "@/x\x00", "add@x\x00"} {
		if e, err := Parse([]byte(bad)); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", bad, e)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(addSDA)
	f.Add([]byte("add@/x\x00MODALIAS=pci:v0001\x00=\x00"))
	f.Fuzz(func(t *testing.T, msg []byte) {
		e, err := Parse(msg)
		if err == nil && !bytes.HasPrefix(msg, []byte(e.Action+"@"+e.DevPath)) {
			t.Errorf("%+v does not come from %q", e, msg)
		}
	})
}
