package link

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// ErrContradiction is the error of a [Contradiction]: no further try helps as long as the device
// is what it is.
var ErrContradiction = errors.New("leave it out")

// A Shortfall is the error of a step that was done as far as the kernel can. It is reported once
// per step, and the boot goes on.
type Shortfall struct {
	Dev  string // the interface for which the step was too much
	Step string // as ip(8) has it
	Err  error  // the kernel's, nil if it has given none
	What string // what is in effect instead
}

// Passing reports whether the kernel has refused for a reason that may soon pass: a device that
// is being reset, for example.
func Passing(err error) bool {
	return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EAGAIN)
}

// MostBusy is how often that is tried again, before what there is must suffice: with some drivers
// a device that is up is always busy.
const MostBusy = 4

func (s *Shortfall) Error() string { return s.Of(s.Dev) }

func (s *Shortfall) Unwrap() error { return s.Err }

// Of is the sentence with another name in place of the interface's.
func (s *Shortfall) Of(names string) string {
	text := func(t string) string {
		words := strings.Split(t, " ")
		for i := range words {
			if words[i] == s.Dev {
				words[i] = names
			}
		}
		return strings.Join(words, " ")
	}
	if s.Err == nil {
		return text(s.What)
	}
	return fmt.Sprintf("%s: %v: %s", text(s.Step), s.Err, text(s.What))
}

// Sentence is what those that say the same about several interfaces have in common.
func (s *Shortfall) Sentence() string { return s.Of("*") }
