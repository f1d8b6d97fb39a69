//go:build !amd64

package acpi

import "errors"

// writePort has no counterpart: there are no I/O ports.
func writePort(_, _ uint16) error { return errors.ErrUnsupported }
