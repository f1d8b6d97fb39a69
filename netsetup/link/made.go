package link

import (
	"bytes"
	"fmt"
)

// A madeLink is a link with no bus device behind it: one that is to be made, or one that the
// kernel has. For an adapter only the name is set.
type madeLink struct {
	Name   string
	Kind   string         // IFLA_INFO_KIND: bond, vlan, bridge, ipoib
	Parent int            // IFLA_LINK, the index; 0 for none
	Data   map[int][]byte // IFLA_INFO_DATA
	Up     bool
}

// adopt returns the attributes that turn the link at hand into the one that is wanted, none if it
// is that already. The error says why it cannot become that: it is something else which has the
// name.
func (want madeLink) adopt(have madeLink) (change map[int][]byte, err error) {
	what := "the " + want.Kind
	if have.Kind != want.Kind {
		is := "an adapter"
		if have.Kind != "" {
			is = "of the kind " + have.Kind
		}
		return nil, fmt.Errorf("%s exists already and is %s: choose another name for %s", want.Name, is, what)
	}
	change = map[int][]byte{}
	for attr, value := range want.Data {
		if !bytes.Equal(value, have.Data[attr]) {
			change[attr] = value
		}
	}
	// Neither kind can be changed: vlan_changelink leaves the id alone, and
	// ipoib_changelink the P_Key.
	if want.Kind == "vlan" || want.Kind == "ipoib" {
		switch {
		case want.Parent != have.Parent:
			return nil, fmt.Errorf(
				"%s exists already and is made of another interface: choose another name for %s",
				want.Name,
				what,
			)
		case len(change) > 0:
			return nil, fmt.Errorf(
				"%s exists already and has another number: choose another name for %s",
				want.Name,
				what,
			)
		}
	}
	return change, nil
}
