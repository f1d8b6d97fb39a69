//go:build !linux

package installed

import "errors"

// Running is the release of the kernel that runs, which here is not Linux.
func Running() (string, error) {
	return "", errors.New("which kernel runs: it is not Linux")
}
