package integration

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Obstacles says in one line each what keeps this machine and this user from booting a
// node as the specification says, and what to do about it. Nil means that nothing is
// known to.
func Obstacles(s BootSpec) []error {
	var errs []error
	if err := install(Missing(s)); err != nil {
		errs = append(errs, err)
	}
	if _, err := os.Stat("/dev/net/tun"); err != nil {
		errs = append(errs, fmt.Errorf("no network for the node: %w: load the module (modprobe tun), or give the container the device", err))
	}
	nfs := s.Root == RootNFS3 || s.Root == RootNFS4
	if nfs && !rootOutside() {
		errs = append(errs, fmt.Errorf("root %v: nfs-ganesha opens files by handle, which only root may: run it as root (sudo), or take --root iscsi", s.Root))
	}
	return errs
}

// install joins what is missing into the one command that installs it.
func install(missing []error) error {
	var names, packages []string
	var others []error
	for _, err := range missing {
		tool, ok := errors.AsType[*MissingTool](err)
		if !ok {
			others = append(others, err)
			continue
		}
		names = append(names, tool.Name)
		if !slices.Contains(packages, tool.Package) {
			packages = append(packages, tool.Package)
		}
	}
	if names != nil {
		others = append(others, fmt.Errorf("this machine lacks %s: sudo apt-get install -y --no-install-recommends %s (Debian's names)",
			strings.Join(names, ", "), strings.Join(packages, " ")))
	}
	return errors.Join(others...)
}
