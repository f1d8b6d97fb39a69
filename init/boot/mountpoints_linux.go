package boot

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/mounts"
)

// A mountPoint is a line of the kernel's list of mounts.
type mountPoint struct{ mounts.Mount }

// readMounts lists what is mounted, in the order of mounting. No server is asked.
func readMounts() ([]mountPoint, error) {
	all, err := mounts.Read()
	list := make([]mountPoint, 0, len(all))
	for _, m := range all {
		list = append(list, mountPoint{m})
	}
	return list, err
}

// foreign reports whether somebody else than a boot mounted it: neither the initramfs nor one of its
// early mounts, what is below those of the kernel, or the root.
func (m mountPoint) foreign() bool {
	ours := []string{"/", sysroot}
	for _, e := range earlyMounts() {
		ours = append(ours, e.target)
	}
	kernels := []string{"/proc", "/sys", "/dev"}
	return !slices.Contains(ours, m.Point) && !m.Below(sysroot) && !slices.ContainsFunc(kernels, m.Below)
}

// onSession reports whether it is on a disk of one of these iSCSI sessions, or on
// something that is made of one.
func (m mountPoint) onSession(sids ...uint32) bool {
	if len(sids) == 0 {
		return false
	}
	device := m.Device
	if strings.HasPrefix(device, "0:") && strings.HasPrefix(m.Source, "/dev/") {
		var st unix.Stat_t
		if unix.Stat(m.Source, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
			return false
		}
		device = fmt.Sprintf("%d:%d", unix.Major(st.Rdev), unix.Minor(st.Rdev))
	}
	return onSession("/sys/dev/block/"+device, sids, maxStacked)
}

// maxStacked is how many devices may be on top of each other: a volume on an array on disks.
const maxStacked = 8

// onSession follows a block device in sysfs to where it is: a disk of a session is below it there.
func onSession(device string, sids []uint32, deep int) bool {
	path, err := filepath.EvalSymlinks(device)
	if err != nil || deep == 0 {
		return false
	}
	if slices.ContainsFunc(
		sids,
		func(sid uint32) bool { return strings.Contains(path+"/", fmt.Sprintf("/session%d/", sid)) },
	) {
		return true
	}
	slaves, _ := filepath.Glob(path + "/slaves/*") // the pattern is good
	return slices.ContainsFunc(slaves, func(s string) bool { return onSession(s, sids, deep-1) })
}

// letGo saves what has been written to it, and removes it from the tree.
func (m mountPoint) letGo() error {
	fd, err := unix.Open(m.Point, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Syncfs(fd)
		_ = unix.Close(fd)
	}
	if err != nil {
		err = fmt.Errorf("save what is written to %s: %w", m.Point, err)
	}
	return errors.Join(err, detach(m.Point))
}
