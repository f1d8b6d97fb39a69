package ibft

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"strconv"
	"strings"
)

// readSysfs reads what the module iscsi_ibft shows (Documentation/ABI/testing/ sysfs-ibft). The
// kernel leaves out the files whose value is zero.
func readSysfs(sys fs.FS) (Table, error) {
	if _, err := fs.Stat(sys, Dir); errors.Is(err, fs.ErrNotExist) {
		return Table{}, ErrNone
	}
	r := reader{sys: sys}
	var t Table
	if r.flags("initiator")&flagValid != 0 {
		t.Initiator = r.text("initiator/initiator-name")
	}
	for i := range mostBlocks {
		dir := "ethernet" + strconv.Itoa(i)
		if flags := r.flags(dir); flags&flagValid != 0 {
			t.NICs = append(t.NICs, r.nic(dir, i, flags))
		}
		dir = "target" + strconv.Itoa(i)
		if flags := r.flags(dir); flags&flagValid != 0 {
			t.Targets = append(t.Targets, r.target(dir, i, flags))
		}
	}
	if r.err != nil {
		return Table{}, r.err
	}
	return t, nil
}

// A reader reads the files; the first error stays.
type reader struct {
	sys fs.FS
	err error
}

func (r *reader) flags(dir string) int { return r.number(dir+"/flags", 255) }

func (r *reader) nic(dir string, index, flags int) NIC {
	n := NIC{
		Index:    index,
		Selected: flags&flagSelected != 0,
		Addr:     r.addr(dir + "/ip-addr"),
		Bits:     r.number(dir+"/prefix-len", 128),
		Gateway:  r.addr(dir + "/gateway"),
		VLAN:     r.number(dir+"/vlan", 4094),
		Hostname: r.text(dir + "/hostname"),
	}
	n.DHCP = r.number(dir+"/origin", 255) == originDHCP || r.addr(dir+"/dhcp").IsValid()
	for _, name := range []string{"/primary-dns", "/secondary-dns"} {
		if a := r.addr(dir + name); a.IsValid() {
			n.DNS = append(n.DNS, a)
		}
	}
	if n.Bits == 0 {
		n.Bits = r.mask(dir + "/subnet-mask")
	}
	b, err := hex.DecodeString(strings.ReplaceAll(r.text(dir+"/mac"), ":", ""))
	if err != nil || len(b) != len(n.MAC) {
		r.bad(dir+"/mac", "a MAC address")
		return n
	}
	n.MAC = [6]byte(b)
	return n
}

func (r *reader) target(dir string, index, flags int) Target {
	return Target{
		Index:    index,
		Selected: flags&flagSelected != 0,
		Addr:     r.addr(dir + "/ip-addr"),
		Port:     uint16(r.number(dir+"/port", 1<<16-1)),
		LUN:      r.lun(dir + "/lun"),
		Name:     r.text(dir + "/target-name"),
		NIC:      r.number(dir+"/nic-assoc", 255),
		CHAP:     CHAP(r.number(dir+"/chap-type", 255)),
		User:     r.text(dir + "/chap-name"),
	}
}

// text is the content of a file, empty when there is none.
func (r *reader) text(name string) string {
	b, err := fs.ReadFile(r.sys, Dir+"/"+name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) && r.err == nil {
		r.err = fmt.Errorf("read the firmware's iBFT: %w", err)
	}
	return strings.TrimRight(strings.TrimSpace(string(b)), "\x00")
}

// bad notes that a file does not hold what it should.
func (r *reader) bad(name, want string) {
	if r.err == nil {
		text := r.text(name)
		r.err = &DamagedError{
			Place: "/sys/" + Dir + "/" + name,
			What:  fmt.Sprintf("holds %q, not %s", text[:min(len(text), 64)], want),
		}
	}
}

// number reads a number up to a limit, 0 when there is none.
func (r *reader) number(name string, most int) int {
	s := r.text(name)
	if s == "" {
		return 0
	}
	v, err := strconv.Atoi(s)
	if err != nil || v < 0 || v > most {
		r.bad(name, "a number from 0 to "+strconv.Itoa(most))
		return 0
	}
	return v
}

// addr reads an address, the zero value when there is none.
func (r *reader) addr(name string) netip.Addr {
	s := r.text(name)
	if s == "" {
		return netip.Addr{}
	}
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" {
		r.bad(name, "an address")
		return netip.Addr{}
	}
	return host(a.As16())
}

// mask reads a netmask of IPv4 as a prefix length, 0 when there is none.
func (r *reader) mask(name string) int {
	a := r.addr(name)
	if !a.Is4() {
		return 0
	}
	for bits := 32; bits > 0; bits-- {
		if p, err := netip.AddrFrom4([4]byte{255, 255, 255, 255}).Prefix(bits); err == nil && p.Addr() == a {
			return bits
		}
	}
	r.bad(name, "a netmask")
	return 0
}

// lun reads eight bytes that the kernel writes in hexadecimal without leading
// zeros: LUN 1 is 01000000, and a byte of 10 or more makes it longer. Such a text
// can be read in several ways; it is taken for the one in which all but the first
// two bytes are zero, if that is one.
func (r *reader) lun(name string) uint64 {
	s := r.text(name)
	if s == "" {
		return 0
	}
	const rest = "000000" // the last six bytes
	first, ok := strings.CutSuffix(s, rest)
	switch {
	case len(s) == 16:
		if v, err := strconv.ParseUint(s, 16, 64); err == nil {
			return v
		}
	case len(s) == 8: // a digit a byte
		if v, err := strconv.ParseUint("0"+strings.Join(strings.Split(s, ""), "0"), 16, 64); err == nil {
			return v
		}
	case ok && len(first) == 4, ok && len(first) == 3 && first[0] == '0': // a byte does not begin with 0
		if v, err := strconv.ParseUint(first, 16, 16); err == nil {
			return v << 48
		}
	}
	r.bad(name, "a LUN that can be read in one way only")
	return 0
}
