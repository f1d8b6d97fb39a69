// Package linux says which kernels nodisk is for. The administrator's command asks
// it of a kernel's file, /init of the kernel that runs.
package linux

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
)

// A Version is the part of a kernel's release that says what it can do: 4.18 of
// "4.18.0-553.el8_10.x86_64". The zero value is none.
type Version struct{ Major, Minor int }

// Oldest returns the oldest kernel that nodisk is for: that of RHEL 8. The tests boot as it
// would (internal/oldkernel).
func Oldest() Version { return Version{4, 18} }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Compare returns a negative number if v is older than w, a positive one if it is newer.
func (v Version) Compare(w Version) int {
	return cmp.Or(cmp.Compare(v.Major, w.Major), cmp.Compare(v.Minor, w.Minor))
}

// ParseVersion reads the beginning of a release as uname -r prints it, whatever a distribution
// adds after the second number. It reports whether there are two.
func ParseVersion(release string) (Version, bool) {
	major, rest, _ := strings.Cut(release, ".")
	end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(rest)
	}
	// Unsigned: strconv.Atoi would take a sign.
	x, errX := strconv.ParseUint(major, 10, 16)
	y, errY := strconv.ParseUint(rest[:end], 10, 16)
	if errX != nil || errY != nil {
		return Version{}, false
	}
	return Version{int(x), int(y)}, true
}

// TooOld returns an error that names kernel, limit and what to do if a release is older than
// [Oldest]. A release without a version is not judged.
func TooOld(release string) error {
	v, ok := ParseVersion(release)
	if !ok || v.Compare(Oldest()) >= 0 {
		return nil
	}
	return fmt.Errorf(
		"kernel %s: nodisk needs Linux %v or newer: take a newer kernel, with its modules",
		release,
		Oldest(),
	)
}
