package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// StallTree makes a module tree in dir, of links to that below kernel, a directory with
// lib/modules/RELEASE, and returns a root for nodisk build --modules: one with the driver of
// integration/stall, built as the file stall, for the watchdog of Intel's 6300ESB. It
// lies in "extra", where drivers of network devices may: /init loads it with them.
// An error is fs.ErrNotExist when the driver was not built.
func StallTree(kernel, stall, dir string) (root string, err error) {
	if _, err := os.Stat(stall); err != nil {
		return "", fmt.Errorf("find the driver that takes its time (make stall builds it): %w", err)
	}
	release, err := KernelRelease(kernel)
	if err != nil {
		return "", err
	}
	from, tree := filepath.Join(kernel, "lib/modules", release), filepath.Join(dir, "lib/modules", release)
	if err := os.MkdirAll(filepath.Join(tree, "extra"), 0o755); err != nil {
		return "", err
	}
	more := map[string]string{
		"modules.dep":   "extra/stall.ko:\n",
		"modules.alias": "alias pci:v00008086d000025ABsv*sd*bc*sc*i* stall\n",
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		to := filepath.Join(tree, e.Name())
		from, err := filepath.Abs(filepath.Join(from, e.Name()))
		if err != nil {
			return "", err
		}
		if more[e.Name()] == "" {
			if err := os.Symlink(from, to); err != nil {
				return "", err
			}
			continue
		}
		text, err := os.ReadFile(from)
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(to, append(text, more[e.Name()]...), 0o600); err != nil {
			return "", err
		}
	}
	return dir, copyFile(stall, filepath.Join(tree, "extra/stall.ko"), 0o644)
}
