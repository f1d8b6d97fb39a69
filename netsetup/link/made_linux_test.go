package link

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/vishvananda/netlink"

	"github.com/nodisk/nodisk/internal/testenv"
)

// What has the name already is looked at: it becomes what is wanted, or the error
// says what it is.
func TestLinkThere(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = "eth0"
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: "peer0"}); err != nil {
		t.Fatalf("make veth: %v", err)
	}
	// As others make it: with a spanning tree, which forwards after 30 s.
	if err := addLink(madeLink{Name: "br0", Kind: "bridge", Data: map[int][]byte{bridgeSTPState: u32(1)}}); err != nil {
		testenv.Missing(t, "bridge: "+err.Error())
	}
	for range 2 {
		if err := (Kernel{}).BridgeAdd(BridgeAdd{Name: "br0", Addr: macA}); err != nil {
			t.Fatal(err)
		}
		have, err := readLink("br0")
		if err != nil {
			t.Fatal(err)
		}
		for attr, what := range map[int]string{bridgeForwardDelay: "forward delay", bridgeSTPState: "STP"} {
			if diff := cmp.Diff(u32(0), have.Data[attr]); diff != "" || have.Kind != "bridge" {
				t.Errorf("%s of %s (-want +got):\n%s", what, have.Kind, diff)
			}
		}
	}
	err := (Kernel{}).BridgeAdd(BridgeAdd{Name: "eth0", Addr: macA})
	const want = "eth0 exists already and is of the kind veth: choose another name for the bridge"
	if err == nil || err.Error() != want {
		t.Errorf("got  %v\nwant %s", err, want)
	}
}
