package oldkernel

import (
	"errors"
	"fmt"
	"os"
	"os/exec"

	"golang.org/x/sys/unix"
)

// Said is what Exec writes to the standard error when the rules are in force.
const Said = "oldkernel: openat2 is not implemented"

// Exec puts the rules on this process and executes a program in its place. It returns only if
// that is impossible, or if a rule does not work.
func Exec(rules []Rule, args []string) error {
	program, err := exec.LookPath(args[0])
	if err != nil {
		return fmt.Errorf("find program: %w", err)
	}
	if err := Install(rules); err != nil {
		return err
	}
	if _, err := unix.Openat2(unix.AT_FDCWD, "/", &unix.OpenHow{Flags: unix.O_PATH}); !errors.Is(err, unix.ENOSYS) {
		return fmt.Errorf("try the rules: openat2: %w, want %w", err, unix.ENOSYS)
	}
	fmt.Fprintln(os.Stderr, Said)
	if err := unix.Exec(program, args, os.Environ()); err != nil {
		return fmt.Errorf("execute %s: %w", program, err)
	}
	return nil
}
