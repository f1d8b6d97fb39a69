package acpi

import (
	"runtime"
	"syscall"
)

// WritePort writes 16 bits to an I/O port. ACPI's registers are accessed as a whole,
// and /dev/port writes bytes.
func WritePort(port, value uint16) error {
	runtime.LockOSThread() // the permission is one of the thread
	defer runtime.UnlockOSThread()
	if err := syscall.Ioperm(int(port), 2, 1); err != nil {
		return err
	}
	outw(port, value)
	return nil
}

// outw is the instruction of that name.
func outw(port, value uint16)
