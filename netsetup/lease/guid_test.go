package lease

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/nodisk/nodisk/netsetup/link"
	"github.com/nodisk/nodisk/netsetup/link/linktest"
)

// The example of the FlexBoot guide, and the other forms for the same port.
func TestClientID(t *testing.T) {
	ethernet := link.Device{Type: link.HwEthernet, Addr: macA}
	for _, tt := range []struct {
		id   ClientID
		d    link.Device
		want []string // form and bytes, hardware type, address of the header
	}{
		{"flexboot", linktest.GuidePort(), []string{"flexboot ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:00:10:39 32 "}},
		{"guid", linktest.GuidePort(), []string{"guid 20:00:02:c9:03:00:00:10:39 32 "}},
		{"hwaddr", linktest.GuidePort(), []string{"hwaddr 20:80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39 32 "}},
		{"infiniband", linktest.GuidePort(), []string{"infiniband 20:00:02:c9:03:00:00:10:39 32 00:02:c9:03:00:00:10:39"}},
		{"mac", linktest.GuidePort(), []string{"mac 01:00:02:c9:00:10:39 1 00:02:c9:00:10:39"}},
		{"rfc4361", linktest.GuidePort(), []string{"rfc4361 ff:00:00:10:39:00:03:00:20:00:02:c9:03:00:00:10:39 32 "}},
		{"none", linktest.GuidePort(), []string{"none 1 00:02:c9:00:10:39"}},
		{"hex:0a0b", linktest.GuidePort(), []string{"hex 0a:0b 32 "}},
		{"auto", linktest.GuidePort(), []string{
			"flexboot ff:00:00:00:00:00:02:00:00:02:c9:00:00:02:c9:03:00:00:10:39 32 ", "guid 20:00:02:c9:03:00:00:10:39 32 ",
			"infiniband 20:00:02:c9:03:00:00:10:39 32 00:02:c9:03:00:00:10:39",
			"mac 01:00:02:c9:00:10:39 1 00:02:c9:00:10:39", "rfc4361 ff:00:00:10:39:00:03:00:20:00:02:c9:03:00:00:10:39 32 ",
			"hwaddr 20:80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:00:10:39 32 ",
		}},
		{"", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"auto", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"infiniband", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"flexboot", ethernet, []string{"mac 01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"rfc4361", ethernet, []string{"rfc4361 ff:00:12:34:56:00:03:00:01:52:54:00:12:34:56 1 52:54:00:12:34:56"}},
		{"none", ethernet, []string{"none 1 52:54:00:12:34:56"}},
		{"hex:0a0b", ethernet, []string{"hex 0a:0b 1 52:54:00:12:34:56"}},
	} {
		var got []string
		for _, d := range tt.id.identities(tt.d) {
			got = append(got, d.String()+" "+map[uint8]string{link.HwEthernet: "1 ", link.HwInfiniBand: "32 "}[d.hwType]+d.chaddr.String())
		}
		if diff := cmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.id, diff)
		}
	}
}
