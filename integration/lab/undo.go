package lab

import (
	"errors"
	"slices"
)

// An Undoer collects what has to be taken back, and does it in reverse order.
type Undoer []func() error

// Add notes what takes something back.
func (u *Undoer) Add(f func() error) { *u = append(*u, f) }

// All takes everything back, whatever goes wrong, and returns all that did.
func (u *Undoer) All() error {
	var errs []error
	for _, f := range slices.Backward(*u) {
		errs = append(errs, f())
	}
	return errors.Join(errs...)
}
