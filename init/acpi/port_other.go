//go:build !amd64

package acpi

import "errors"

// WritePort has no counterpart: there are no I/O ports.
func WritePort(_, _ uint16) error { return errors.ErrUnsupported }
