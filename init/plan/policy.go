package plan

import (
	"fmt"
	"hash/fnv"
	"time"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// OnFail is what happens when the deadline has passed, or when something is
// wrong that no further attempt can cure.
type OnFail int

// The values of nodisk.onfail=.
const (
	OnFailRetry OnFail = iota + 1 // try forever; the default
	OnFailReboot
	OnFailPoweroff
	OnFailHalt
	OnFailShell
)

// String returns the value of nodisk.onfail=.
func (o OnFail) String() string {
	switch o {
	case OnFailRetry:
		return "retry"
	case OnFailReboot:
		return "reboot"
	case OnFailPoweroff:
		return "poweroff"
	case OnFailHalt:
		return "halt"
	case OnFailShell:
		return "shell"
	default:
		return fmt.Sprintf("OnFail(%d)", int(o))
	}
}

func parseOnFail(key, word string) (OnFail, error) {
	for o := OnFailRetry; o <= OnFailShell; o++ {
		if o.String() == word {
			return o, nil
		}
	}
	return OnFailRetry, &cmdline.ValueError{
		Key: key, Value: word, Problem: "is not an action",
		Fix: "write retry, reboot, poweroff, halt or shell",
	}
}

// Policy is what the administrator wants on failure.
type Policy struct {
	OnFail OnFail
	// Deadline bounds the whole boot; zero is none.
	Deadline time.Duration
}

const (
	// patience is the deadline of an action other than retry when
	// nodisk.deadline= does not say: without one it would never be taken.
	patience = 5 * time.Minute
	// NewCommandLine is the pause before the reboot that follows an unusable command line: a
	// corrected one only comes with the firmware, and the message must stay readable for a while.
	NewCommandLine = 60 * time.Second
)

func newPolicy(args cmdline.Args) (Policy, []error) {
	var errs []error
	p := Policy{OnFail: OnFailRetry}
	set := func(o OnFail, err error) {
		if err != nil {
			errs = append(errs, err)
			return
		}
		p.OnFail = o
	}
	// dracut's keys first: nodisk's own override them.
	if word, ok := args.Last("rd.emergency"); ok {
		o, err := parseOnFail("rd.emergency", word)
		if err == nil && (o == OnFailRetry || o == OnFailShell) {
			err = &cmdline.ValueError{
				Key:     "rd.emergency",
				Value:   word,
				Problem: "is not an action",
				Fix:     "write reboot, poweroff or halt",
			}
		}
		set(o, err)
	}
	if on, err := args.Bool("rd.shell", false); err != nil {
		errs = append(errs, err)
	} else if on {
		p.OnFail = OnFailShell
	}
	if word, ok := args.Last("nodisk.onfail"); ok {
		o, err := parseOnFail("nodisk.onfail", word)
		set(o, err)
	}
	if word, ok := args.Last("rd.retry"); ok {
		d, err := parseSeconds("rd.retry", word)
		if err != nil {
			errs = append(errs, err)
		}
		p.Deadline = d
	}
	if word, ok := args.Last("nodisk.deadline"); ok {
		d, err := parseSeconds("nodisk.deadline", word)
		if err != nil {
			errs = append(errs, err)
		}
		p.Deadline = d
	}
	if p.Deadline == 0 && p.OnFail != OnFailRetry {
		p.Deadline = patience
	}
	return p, errs
}

// parseSeconds reads a duration in Go's spelling (90s, 5m) or in bare seconds,
// as dracut has it.
func parseSeconds(key, word string) (time.Duration, error) {
	d, err := time.ParseDuration(word)
	if err != nil {
		d, err = time.ParseDuration(word + "s")
	}
	if err != nil || d <= 0 {
		return 0, &cmdline.ValueError{
			Key:     key,
			Value:   word,
			Problem: "is not a duration",
			Fix:     "write seconds or 90s, 5m, 1h",
		}
	}
	return d, nil
}

const (
	firstPause   = time.Second
	longestPause = 30 * time.Second
)

// Pause is the wait after the given failed attempt (1, 2, ...): it doubles up to longestPause,
// and differs by up to a quarter between nodes, so that five hundred of them do not ask at the
// same instant. The same node and attempt give the same pause.
func Pause(identity string, attempt int) time.Duration {
	d := longestPause
	if shift := attempt - 1; shift < 5 {
		d = min(d, firstPause<<max(shift, 0))
	}
	h := fnv.New32a()
	_, _ = fmt.Fprintf(h, "%s/%d", identity, attempt)
	quarter := int64(d / 4)
	return d - time.Duration(int64(h.Sum32())%quarter)
}

// A PermanentError is one that no further attempt can cure.
type PermanentError struct{ err error }

func (e *PermanentError) Error() string { return e.err.Error() }

func (e *PermanentError) Unwrap() error { return e.err }

// Permanent marks err, if it is one, as not worth another attempt.
func Permanent(err error) error {
	if err == nil {
		return nil
	}
	return &PermanentError{err: err}
}
