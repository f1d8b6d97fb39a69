package modload

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nodisk/nodisk/internal/kernfile"
)

// RemoveUntested takes modules out of the kernel whose algorithms nobody can use, so that they
// are loaded again. The kernel tests an algorithm in a thread of its own before anybody
// gets it, and one that loads a module and is killed meanwhile cannot start that thread: the
// module is live then, and its algorithm is never tested (crypto_wait_for_test in crypto/api.c
// of Linux 6.1). It is for the beginning of a worker: nobody else is loading anything.
// The names of the modules are returned.
func RemoveUntested() ([]string, error) {
	text, err := kernfile.ReadFile("/proc/crypto")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // a kernel without algorithms
	}
	if err != nil {
		return nil, fmt.Errorf("look at the kernel's algorithms: %w", err)
	}
	var removed []string
	var errs []error
	for _, name := range untested(string(text)) {
		// Not waited for: whoever uses it has got it after all.
		if err := unix.DeleteModule(name, unix.O_NONBLOCK); err != nil {
			errs = append(errs, fmt.Errorf("remove module %q, whose algorithm has not been tested: %w", name, err))
			continue
		}
		removed = append(removed, name)
	}
	return removed, errors.Join(errs...)
}

// untested lists the modules of /proc/crypto with an algorithm that has not been tested. It
// is a paragraph of "key : value" for each algorithm (c_show in crypto/proc.c); one that
// somebody waits for has no test of its own, and is a larval.
func untested(text string) (modules []string) {
	for paragraph := range strings.SplitSeq(text, "\n\n") {
		values := map[string]string{}
		for line := range strings.Lines(paragraph) {
			key, value, _ := strings.Cut(line, ":")
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
		module := values["module"]
		if values["selftest"] != "unknown" || values["type"] == "larval" || module == "kernel" || module == "" ||
			slices.Contains(modules, module) {
			continue
		}
		modules = append(modules, module)
	}
	return modules
}
