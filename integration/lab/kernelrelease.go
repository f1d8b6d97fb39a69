package lab

import (
	"fmt"
	"os"
	"path/filepath"
)

// KernelRelease is the name of the one directory in DIR/lib/modules.
func KernelRelease(dir string) (string, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "lib/modules"))
	if err != nil {
		return "", fmt.Errorf("find the kernel's release: %w", err)
	}
	if len(entries) != 1 {
		return "", fmt.Errorf("find the kernel's release: %s has %d directories, want one",
			filepath.Join(dir, "lib/modules"), len(entries))
	}
	return entries[0].Name(), nil
}
