package boot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A mountPoint is a line of the kernel's list of mounts (proc_pid_mountinfo(5)).
type mountPoint struct {
	point  string
	device string // major:minor; of btrfs, as of a server, a made-up one with major 0
	source string // /dev/sda, server:/path
}

// readMounts lists what is mounted, in the order of mounting. No server is asked.
func readMounts() ([]mountPoint, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return parseMounts(string(text)), nil
}

// parseMounts reads it. A line that is not of that form is passed over.
func parseMounts(text string) (mounts []mountPoint) {
	for line := range strings.Lines(text) {
		front, back, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(front), strings.Fields(back)
		if !ok || len(fields) < 6 || len(rest) < 2 {
			continue
		}
		mounts = append(mounts, mountPoint{unescape(fields[4]), fields[2], unescape(rest[1])})
	}
	return mounts
}

// unescape undoes mangle (fs/proc_namespace.c): space, tab, line feed and backslash are octal.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(n))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// below reports whether it is mounted somewhere below dir, and not on it.
func (m mountPoint) below(dir string) bool { return strings.HasPrefix(m.point, dir+"/") }

// foreign reports whether somebody else than a boot mounted it: neither the initramfs nor one of its
// early mounts, what is below those of the kernel, or the root.
func (m mountPoint) foreign() bool {
	ours := []string{"/", sysroot}
	for _, e := range earlyMounts() {
		ours = append(ours, e.target)
	}
	kernels := []string{"/proc", "/sys", "/dev"}
	return !slices.Contains(ours, m.point) && !m.below(sysroot) && !slices.ContainsFunc(kernels, m.below)
}

// onSession reports whether it is on a disk of one of these iSCSI sessions, or on
// something that is made of one.
func (m mountPoint) onSession(sids ...uint32) bool {
	if len(sids) == 0 {
		return false
	}
	device := m.device
	if strings.HasPrefix(device, "0:") && strings.HasPrefix(m.source, "/dev/") {
		var st unix.Stat_t
		if unix.Stat(m.source, &st) != nil || st.Mode&unix.S_IFMT != unix.S_IFBLK {
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
	if slices.ContainsFunc(sids, func(sid uint32) bool { return strings.Contains(path+"/", fmt.Sprintf("/session%d/", sid)) }) {
		return true
	}
	slaves, _ := filepath.Glob(path + "/slaves/*") // the pattern is good
	return slices.ContainsFunc(slaves, func(s string) bool { return onSession(s, sids, deep-1) })
}

// letGo saves what has been written to it, and takes it out of the tree.
func (m mountPoint) letGo() error {
	fd, err := unix.Open(m.point, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err == nil {
		err = unix.Syncfs(fd)
		_ = unix.Close(fd)
	}
	if err != nil {
		err = fmt.Errorf("save what is written to %s: %w", m.point, err)
	}
	return errors.Join(err, detach(m.point))
}
