package integration

import (
	"errors"
	"slices"
)

// An undoer collects what has to be taken back, and does it in reverse order.
type undoer []func() error

// add notes what takes something back.
func (u *undoer) add(f func() error) { *u = append(*u, f) }

// all takes everything back, whatever goes wrong, and returns all that did.
func (u *undoer) all() error {
	var errs []error
	for _, f := range slices.Backward(*u) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
