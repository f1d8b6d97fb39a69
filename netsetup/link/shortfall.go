package link

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
)

// ErrContradiction is that of a [Contradiction]: no further try helps as long as the
// device is what it is.
var ErrContradiction = errors.New("leave it out")

// A Shortfall is the error of a step that was done as far as the kernel can. It
// is told, once for a step, and the boot goes on.
type Shortfall struct {
	Dev  string // the interface that the step was too much for
	Step string // as ip(8) has it
	Err  error  // the kernel's, nil if it has given none
	What string // what there is instead
}

// Passing reports whether the kernel has refused for a reason that may be over soon: a
// device is being reset, say.
func Passing(err error) bool {
	return errors.Is(err, syscall.EBUSY) || errors.Is(err, syscall.EAGAIN)
}

// MostBusy is how often that is tried again, before what there is has to do: with some
// drivers a device that is up is always busy.
const MostBusy = 4

func (s *Shortfall) Error() string { return s.Of(s.Dev) }

func (s *Shortfall) Unwrap() error { return s.Err }

// Of is the sentence with another name in the place of the interface's.
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

// Sentence is what all have in common that say the same of several interfaces.
func (s *Shortfall) Sentence() string { return s.Of("*") }
