package link

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What is there already becomes what is wanted, or is named.
func TestAdopt(t *testing.T) {
	bond := madeLink{Name: "x", Kind: "bond", Data: map[int][]byte{1: {1}, 3: {100, 0, 0, 0}}}
	vlan := madeLink{Name: "x", Kind: "vlan", Parent: 2, Data: map[int][]byte{1: {5, 0}}}
	child := madeLink{Name: "x", Kind: "ipoib", Parent: 2, Data: map[int][]byte{1: {1, 0x80}}}
	for name, tt := range map[string]struct {
		want, have madeLink
		change     map[int][]byte
		err        string
	}{
		"the same":         {bond, madeLink{Kind: "bond", Data: map[int][]byte{1: {1}, 3: {100, 0, 0, 0}, 4: {0}}}, map[int][]byte{}, ""},
		"another mode":     {bond, madeLink{Kind: "bond", Data: map[int][]byte{1: {0}, 3: {100, 0, 0, 0}}}, map[int][]byte{1: {1}}, ""},
		"an adapter":       {bond, madeLink{}, nil, "x exists already and is an adapter: choose another name for the bond"},
		"another kind":     {vlan, madeLink{Kind: "bond"}, nil, "x exists already and is of the kind bond: choose another name for the vlan"},
		"same VLAN":        {vlan, vlan, map[int][]byte{}, ""},
		"another id":       {vlan, madeLink{Kind: "vlan", Parent: 2, Data: map[int][]byte{1: {7, 0}}}, nil, "x exists already and has another number: choose another name for the vlan"},
		"another parent":   {vlan, madeLink{Kind: "vlan", Parent: 3, Data: vlan.Data}, nil, "x exists already and is made of another interface: choose another name for the vlan"},
		"another P_Key":    {child, madeLink{Kind: "ipoib", Parent: 2, Data: map[int][]byte{1: {2, 0x80}}}, nil, "x exists already and has another number: choose another name for the ipoib"},
		"same P_Key child": {child, child, map[int][]byte{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			change, err := tt.want.adopt(tt.have)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if diff := cmp.Diff(tt.change, change); diff != "" || text != tt.err {
				t.Errorf("%s (-want +got):\n%s", text, diff)
			}
		})
	}
}
