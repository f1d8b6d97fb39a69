package link

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// BondAdd makes the bond, by a message of its own: the library's Bond ends with attribute 27
// (IFLA_BOND_TLB_DYNAMIC_LB), and bondTable has seven more. It reads the bond back: a kernel says
// nothing about an option that it does not know (rtnl_newlink reads the attributes of a kind
// without being strict).
func (Kernel) BondAdd(b BondAdd) error {
	want := madeLink{Name: b.Name, Kind: "bond", Data: BondData(b.Options)}
	err := makeLink(want, func() error { return addLink(want) })
	switch {
	case errors.Is(err, unix.EINVAL):
		return fmt.Errorf("%w: this kernel does not have one of the options, or not that value of it", err)
	case err != nil:
		return err
	}
	have, err := readLink(b.Name)
	if err != nil {
		return fmt.Errorf("read options of %s: %w", b.Name, err)
	}
	return bondShortfall(b.Name, b.Options, have.Data)
}

// adoptable checks whether a bond that is there can be changed: with ports its mode is fixed
// (bond_option_mode_set), and it cannot be changed while the bond is up, which is taken care of.
func adoptable(have madeLink, change map[int][]byte) error {
	if _, ok := change[nl.IFLA_BOND_MODE]; !ok || have.Kind != "bond" {
		return nil
	}
	ports, err := Kernel{}.BondPorts(have.Name)
	switch {
	case err != nil:
		return err
	case len(ports) > 0:
		table := BondTable()
		mode := table[FindBondOption(table, "mode")]
		return fmt.Errorf("%s exists already, with mode %s and the ports %s: choose another name for the bond",
			have.Name, mode.text(have.Data[nl.IFLA_BOND_MODE]), strings.Join(ports, " "))
	case have.Up:
		return Kernel{}.LinkUp(have.Name, false)
	}
	return nil
}

// BondPorts reads the attribute of the bonding driver
// (Documentation/networking/bonding.rst).
func (Kernel) BondPorts(bond string) ([]string, error) {
	b, err := kernfile.ReadFile(filepath.Join(SysClassNet, bond, "bonding", "slaves"))
	if err != nil {
		return nil, fmt.Errorf("read ports of %s: %w", bond, err)
	}
	return strings.Fields(string(b)), nil
}

// BondData encodes the options that need no port, by attribute.
func BondData(options []BondOption) map[int][]byte {
	data := map[int][]byte{}
	table := BondTable()
	for _, given := range options {
		o := table[FindBondOption(table, given.Name)]
		switch {
		case o.Kind == BondPort:
		case o.Kind == bondAddr:
			addr, _ := ParseHardwareAddr(given.Value)
			data[int(o.Attr)] = []byte(addr)
		case o.List():
			// One nested attribute for each. The kernel does not look at their numbers, and
			// itself uses numbers like these.
			var list []byte
			for i, s := range strings.Split(given.Value, ",") {
				addr, _ := netip.ParseAddr(s)
				list = append(list, nl.NewRtAttr(i, addr.AsSlice()).Serialize()...)
			}
			data[int(o.Attr)] = list
		default:
			v, _ := o.number(given.Value)
			switch o.size {
			case 1:
				data[int(o.Attr)] = []byte{byte(v)}
			case 2:
				data[int(o.Attr)] = u16(uint16(v))
			default:
				data[int(o.Attr)] = u32(v)
			}
		}
	}
	return data
}

// bondShortfall says which options the kernel has not taken, or has changed: older ones do not
// know all, and delays are rounded to multiples of miimon.
func bondShortfall(name string, options []BondOption, have map[int][]byte) error {
	want := BondData(options)
	table := BondTable()
	var parts []string
	for _, given := range options {
		o := table[FindBondOption(table, given.Name)]
		value, told := have[int(o.Attr)]
		switch {
		case o.Kind == BondPort, told && bytes.Equal(value, want[int(o.Attr)]):
		case told:
			parts = append(parts, given.Name+" is "+o.text(value)+" instead of "+given.Value)
		default:
			parts = append(parts, given.Name+" is unknown to this kernel and has no effect")
		}
	}
	if len(parts) == 0 {
		return nil
	}
	return &Shortfall{
		Dev:  name,
		Step: "bond " + name,
		What: "bond " + name + ": the kernel has not taken all options: " + strings.Join(parts, "; "),
	}
}

// text is the value of an attribute as ip(8) writes it.
func (o BondOptionRow) text(value []byte) string {
	switch {
	case o.Kind == bondAddr:
		return HardwareAddr(value).String()
	case o.List():
		var all []string
		attributes(value, func(_ uint16, v []byte) {
			if a, ok := netip.AddrFromSlice(v); ok {
				all = append(all, a.String())
			}
		})
		return strings.Join(all, ",")
	}
	v := 0
	switch len(value) {
	case 1:
		v = int(value[0])
	case 2:
		v = int(binary.NativeEndian.Uint16(value))
	case 4:
		v = int(binary.NativeEndian.Uint32(value))
	}
	if words := strings.Fields(o.words); o.Kind == bondWord && v < len(words) {
		return words[v]
	}
	return strconv.Itoa(v)
}

// BondSet tells the bond of a port by its index.
func (Kernel) BondSet(s BondSet) error {
	port, err := interfaceIndex(s.Port)
	if err != nil {
		return err
	}
	attr := nl.IFLA_BOND_PRIMARY
	if s.Option == "active_slave" {
		attr = nl.IFLA_BOND_ACTIVE_SLAVE
	}
	return infoChange(s.Bond, Info("bond", map[int][]byte{attr: u32(port)}))
}
