package installed

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Running is the release of the kernel that runs (uname(2), which needs no /proc: a chroot
// may have none).
func Running() (string, error) {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return "", fmt.Errorf("which kernel runs: %w", err)
	}
	return unix.ByteSliceToString(name.Release[:]), nil
}
