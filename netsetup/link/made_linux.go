package link

import (
	"errors"
	"fmt"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// makeLink makes a link by add, or changes an existing one of that name to be the same: an earlier
// attempt has made it, or the kernel has (the module bonding makes bond0 as it loads, unless it
// is told max_bonds=0; bond_init of drivers/net/bonding/bond_main.c).
func makeLink(want madeLink, add func() error) error {
	err := add()
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	have, err := readLink(want.Name)
	switch {
	case errors.Is(err, unix.ENODEV):
		// vlan_check_real_dev of net/8021q/vlan.c
		return fmt.Errorf("%s: that %s exists already under another name: write that name", want.Name, want.Kind)
	case err != nil:
		return fmt.Errorf("read %s, which exists already: %w", want.Name, err)
	}
	change, err := want.adopt(have)
	if err != nil || len(change) == 0 {
		return err
	}
	if err := adoptable(have, change); err != nil {
		return err
	}
	if stp, ok := change[bridgeSTPState]; ok && want.Kind == "bridge" {
		// Before the forward delay, which with a spanning tree cannot be 0 and
		// in one message comes first (br_changelink of net/bridge/br_netlink.c).
		err = infoChange(want.Name, Info(want.Kind, map[int][]byte{bridgeSTPState: stp}))
	}
	if err == nil {
		err = infoChange(want.Name, Info(want.Kind, change))
	}
	if err != nil {
		return fmt.Errorf("change %s, which exists already: %w", want.Name, err)
	}
	return nil
}

// addLink makes a link of a kind some of whose attributes the library does not
// know (RTM_NEWLINK of rtnetlink(7)).
func addLink(l madeLink, attrs ...*nl.RtAttr) error {
	attrs = append(attrs, nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(l.Name)), Info(l.Kind, l.Data))
	return request(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, nl.NewIfInfomsg(unix.AF_UNSPEC), attrs...)
}

// readLink asks for a link by its name. The error of one that is not there is ENODEV. It keeps
// the attributes as they are: the library reads only some of a bond's, and of a bridge's not
// those that matter here.
func readLink(name string) (madeLink, error) {
	index, err := interfaceIndex(name)
	if err != nil {
		return madeLink{}, err
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, 0)
	msg := nl.NewIfInfomsg(unix.AF_UNSPEC)
	msg.Index = int32(index)
	req.AddData(msg)
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, u32(skipStats)))
	answer, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return madeLink{}, err
	}
	for _, b := range answer {
		if l, ok := parseMade(b); ok {
			return l, nil
		}
	}
	return madeLink{}, unix.ENODEV
}

// parseMade reads the body of RTM_NEWLINK: struct ifinfomsg and attributes
// (rtnetlink(7)).
func parseMade(b []byte) (l madeLink, ok bool) {
	d, ok := parseLink(b)
	if !ok {
		return madeLink{}, false
	}
	l = madeLink{Name: d.Name, Parent: d.Parent, Up: d.Up, Data: map[int][]byte{}}
	attributes(b[unix.SizeofIfInfomsg:], func(kind uint16, info []byte) {
		if kind != unix.IFLA_LINKINFO {
			return
		}
		attributes(info, func(kind uint16, v []byte) {
			switch kind {
			case unix.IFLA_INFO_KIND:
				l.Kind = nl.BytesToString(v)
			case unix.IFLA_INFO_DATA:
				attributes(v, func(kind uint16, v []byte) { l.Data[int(kind)] = v })
			}
		})
	})
	return l, true
}
