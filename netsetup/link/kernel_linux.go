package link

import (
	"golang.org/x/sys/unix"
)

// Kernel gives access to the links, addresses and routes of the running kernel.
type Kernel struct {
	Scheme Scheme // of udev's names
}

// KernelVersion is that of uname -v.
func KernelVersion() string {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return "" // which it has no reason to say
	}
	return unix.ByteSliceToString(u.Version[:])
}
