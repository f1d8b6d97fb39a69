package tool

import (
	"debug/elf"
	"fmt"
)

// StaticBusybox finds a busybox that needs no libraries.
func StaticBusybox() (string, error) {
	path, err := Busybox().Find()
	if err != nil {
		return "", err
	}
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", path, err)
	}
	defer func() { _ = f.Close() }()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("%s is linked dynamically: install the package busybox-static", path)
		}
	}
	return path, nil
}
