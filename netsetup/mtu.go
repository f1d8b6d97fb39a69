package netsetup

import "slices"

// sixOn tells whether the device has addresses of IPv6 by an ip=, or a link that
// is made of it and cannot have a larger MTU.
func (c Config) sixOn(d Device) bool {
	if _, ok := c.claim(d, true); ok {
		return true
	}
	return slices.ContainsFunc(c.VLANs, func(v VLAN) bool {
		return v.Parent.selects(d) && c.sixOn(Device{Name: v.Name, Type: d.Type})
	})
}
