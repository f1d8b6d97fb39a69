// Package ibft reads the iSCSI Boot Firmware Table: the address, the initiator and the targets
// with which a firmware (a BIOS, an adapter's option ROM, iPXE, UEFI) has begun to boot.
//
// It is an ACPI table, which the kernel shows below /sys/firmware/acpi/tables to root alone.
// Firmware without ACPI leaves it in low memory instead; there the kernel's module iscsi_ibft
// finds it and shows it, field by field, below /sys/firmware/ibft. ACPI is tried first: it needs
// no module, and that module turns the CHAP secrets into files that everybody may read. This
// package never reads them.
//
// The layout is that of the kernel's drivers/firmware/iscsi_ibft.c and of
// Microsoft's "iSCSI Boot Firmware Table (iBFT) as Defined in ACPI 3.0b".
package ibft

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"slices"
	"strings"
)

// A Table is what the firmware left. It holds only structures that the firmware
// marked valid.
type Table struct {
	Initiator string // name of the initiator, empty if the firmware gave none
	NICs      []NIC
	Targets   []Target
}

// A NIC is a network port and its address. What the firmware left out is zero.
type NIC struct {
	Index    int  // of the structure; a Target refers to it
	Selected bool // the firmware booted by it
	MAC      [6]byte
	Addr     netip.Addr // never IPv4 in the form of IPv6
	Bits     int        // prefix length of Addr, 0 for none
	Gateway  netip.Addr
	DNS      []netip.Addr // at most two
	// DHCP says that the address is one of a DHCP server.
	DHCP     bool
	VLAN     int    // 1 to 4094, 0 for none
	Hostname string // as it is in the table: not checked
}

// A Target is a logical unit that the firmware booted from, or would have. Two of them are two
// paths to one boot disk.
type Target struct {
	Index    int
	Selected bool // the firmware booted from it
	Addr     netip.Addr
	Port     uint16 // of TCP; 0 is not set
	LUN      uint64 // the eight bytes of SAM-5 section 4.7, big-endian
	Name     string // as it is in the table: not checked
	NIC      int    // Index of the NIC that leads to it
	CHAP     CHAP
	User     string // the CHAP name, as it is in the table: not checked
}

// CHAP says how the target wants the initiator to prove who it is.
type CHAP uint8

// The values of the table.
const (
	CHAPNone   CHAP = iota // not at all
	CHAPOneWay             // by a secret
	CHAPMutual             // and it proves itself
)

// ErrNone says that the firmware left no table, as far as the kernel shows.
var ErrNone = errors.New("the firmware left no iBFT (neither /sys/" + acpiDir + "/iBFT nor /sys/" + Dir + " is there)")

// A DamagedError says that a table cannot be read, and where.
type DamagedError struct {
	Place string // "/sys/firmware/acpi/tables/iBFT" or a file below /sys/firmware/ibft
	What  string // "the checksum is wrong"
}

// Error tells place and problem.
func (e *DamagedError) Error() string {
	return "the firmware's iBFT is damaged: " + e.Place + " " + e.What
}

// acpiDir is where the kernel shows ACPI's tables (Documentation/ABI/testing/
// sysfs-firmware-acpi), and Dir where the module iscsi_ibft shows what it found,
// both below /sys.
const (
	acpiDir = "firmware/acpi/tables"
	Dir     = "firmware/ibft"
)

// Visible reports whether there is a table to be read. If not, the module
// iscsi_ibft may find one.
func Visible(sys fs.FS) bool {
	if names, err := acpiNames(sys); err == nil && len(names) > 0 {
		return true
	}
	_, err := fs.Stat(sys, Dir)
	return err == nil
}

// Read reads the table. sys is /sys. The error is ErrNone, a *DamagedError, or
// one of reading.
func Read(sys fs.FS) (Table, error) {
	names, err := acpiNames(sys)
	if err != nil {
		return Table{}, err
	}
	var damaged error
	for _, name := range names {
		b, err := fs.ReadFile(sys, acpiDir+"/"+name)
		if err != nil {
			return Table{}, fmt.Errorf("read the firmware's iBFT: %w", err)
		}
		t, err := Parse(b)
		if err == nil {
			return t, nil
		}
		if damaged == nil {
			damaged = &DamagedError{Place: "/sys/" + acpiDir + "/" + name, What: err.Error()}
		}
	}
	t, err := readSysfs(sys)
	if errors.Is(err, ErrNone) && damaged != nil {
		return Table{}, damaged
	}
	return t, err
}

// acpiNames are the files of the table: iBFT, in older firmware IBFT, with a number appended
// where there are several.
func acpiNames(sys fs.FS) ([]string, error) {
	entries, err := fs.ReadDir(sys, acpiDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("look for the firmware's iBFT: %w", err)
	}
	var names []string
	for _, e := range entries {
		signature := strings.TrimRight(e.Name(), "0123456789")
		if (signature == "iBFT" || signature == "IBFT") && !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}

// host returns an address that is set: IPv4 in the form of IPv6 (::ffff:10.0.0.1,
// from some firmware ::10.0.0.1) as IPv4.
func host(raw [16]byte) netip.Addr {
	a := netip.AddrFrom16(raw).Unmap()
	if [12]byte(raw[:12]) == [12]byte{} && raw[12] != 0 {
		a = netip.AddrFrom4([4]byte(raw[12:]))
	}
	if a.IsUnspecified() {
		return netip.Addr{}
	}
	return a
}
