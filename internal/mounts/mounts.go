// Package mounts reads the kernel's list of mounts (proc_pid_mountinfo(5)).
package mounts

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// A Mount is a line of the list.
type Mount struct {
	Point  string // absolute
	Device string // major:minor; of btrfs, as of a server, a made-up one with major 0
	Source string // /dev/sda, server:/path
}

// Read lists what this process sees mounted, in the order of mounting. No server is asked.
func Read() ([]Mount, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	return Parse(string(text)), nil
}

// Below lists the mount points below a directory, by their paths from there, sorted. What lies
// below another of them is left out.
func Below(dir string) ([]string, error) {
	abs, err := filepath.Abs(dir)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	all, err := Read()
	if err != nil {
		return nil, err
	}
	return below(all, abs), nil
}

func below(all []Mount, dir string) (points []string) {
	dir = strings.TrimSuffix(dir, "/")
	var found []string
	for _, m := range all {
		if m.Below(dir) {
			found = append(found, m.Point+"/") // so that what is below follows what it is below
		}
	}
	slices.Sort(found)
	last := ""
	for _, point := range found {
		if last != "" && strings.HasPrefix(point, last) {
			continue
		}
		last = point
		points = append(points, strings.TrimSuffix(strings.TrimPrefix(point, dir+"/"), "/"))
	}
	return points
}

// Below reports whether it is mounted somewhere below dir, and not on it.
func (m Mount) Below(dir string) bool {
	return m.Point != "/" && strings.HasPrefix(m.Point, strings.TrimSuffix(dir, "/")+"/")
}

// Parse reads the text of a list. A line that is not of that form is skipped.
func Parse(text string) (list []Mount) {
	for line := range strings.Lines(text) {
		front, back, ok := strings.Cut(line, " - ")
		fields, rest := strings.Fields(front), strings.Fields(back)
		if !ok || len(fields) < 6 || len(rest) < 2 {
			continue
		}
		list = append(list, Mount{unescape(fields[4]), fields[2], unescape(rest[1])})
	}
	return list
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
