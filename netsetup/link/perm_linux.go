package link

import (
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolPermAddr is struct ethtool_perm_addr of include/uapi/linux/ethtool.h
// with room for MAX_ADDR_LEN.
type ethtoolPermAddr struct {
	cmd  uint32
	size uint32 // of data; then how much of it is set
	data [32]byte
}

// ethtoolIfreq is struct ifreq of netdevice(7) with its pointer for SIOCETHTOOL.
type ethtoolIfreq struct {
	name [unix.IFNAMSIZ]byte
	data unsafe.Pointer
	_    [16 - unsafe.Sizeof(uintptr(0))]byte
}

var _ [unix.IFNAMSIZ + 16]byte = [unsafe.Sizeof(ethtoolIfreq{})]byte{}

// permAddr asks by ethtool for the address that an adapter was made with, empty if it reports
// none: kernels before 5.6 have no IFLA_PERM_ADDRESS, and the port of a bond has the bond's
// address.
func permAddr(name string) HardwareAddr {
	const permanent = 0x20 // ETHTOOL_GPERMADDR
	perm := ethtoolPermAddr{cmd: permanent, size: uint32(len(ethtoolPermAddr{}.data))}
	ifr := ethtoolIfreq{data: unsafe.Pointer(&perm)}
	if len(name) >= len(ifr.name) {
		return ""
	}
	copy(ifr.name[:], name)
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer func() { _ = unix.Close(fd) }()
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&ifr)))
	addr := string(perm.data[:min(perm.size, uint32(len(perm.data)))])
	// Drivers without one leave only zeros.
	if errno != 0 || len(addr) != 6 || strings.Trim(addr, "\x00") == "" {
		return ""
	}
	return HardwareAddr(addr)
}
