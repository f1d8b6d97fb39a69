package boot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nodisk/nodisk/init/plan"
)

// A messageKind says what a child of PID 1 tells it.
type messageKind int

const (
	// messageAlive: still at work. If Within is not zero and no verdict comes in
	// that time, PID 1 carries out Verdict.
	messageAlive messageKind = iota + 1
	// messageVerdict: carry out Verdict. What the child still does is to tidy up.
	messageVerdict
	// messageDone: nothing is left to do but to end. A child that is still there a
	// moment later is held by the kernel.
	messageDone
)

// String returns the kind's word in a record.
func (k messageKind) String() string {
	switch k {
	case messageAlive:
		return "alive"
	case messageVerdict:
		return "verdict"
	case messageDone:
		return "done"
	default:
		return fmt.Sprintf("messageKind(%d)", int(k))
	}
}

// A message is one record in the pipe from a child to PID 1. PID 1 acts by
// records, never by the end of the pipe or of the child: the kernel may hold
// both forever.
type message struct {
	Kind    messageKind
	Within  time.Duration // whole milliseconds
	Verdict plan.Verdict  // not of messageDone
}

// messageMost bounds a record in bytes: PIPE_BUF of pipe(7), so that a write is
// all or nothing, and fits into the pipe while nobody reads.
const messageMost = 4096

// messageWords is more than a record of that size needs.
const messageWords = 64

// Encode writes the record: NUL-ended strings, the first of them the number of
// those that follow, so that a record that was cut is not taken for a whole one.
// The reason of a shell is clipped; anything else that is too long is an error.
func (m message) Encode() ([]byte, error) {
	words := []string{m.Kind.String()}
	if m.Kind != messageDone {
		v := m.Verdict
		words = append(words, milliseconds(m.Within), v.Action.String(), milliseconds(v.Wait), v.Root)
		argv := v.Argv
		if v.Action == plan.ActionShell && len(argv) == 1 {
			const rest = 200 // for the other words
			argv = []string{clip(argv[0], messageMost-rest)}
		}
		words = append(words, argv...)
	}
	b := []byte(strconv.Itoa(len(words)) + "\x00" + strings.Join(words, "\x00") + "\x00")
	if len(b) > messageMost || len(words) > messageWords {
		return nil, fmt.Errorf(
			"encode a verdict: %d bytes in %d words are more than %d in %d",
			len(b),
			len(words),
			messageMost,
			messageWords,
		)
	}
	return b, nil
}

// readMessage reads what Encode wrote, and not a byte more. io.EOF is the end of
// the pipe between two records.
func readMessage(r *bufio.Reader) (message, error) {
	left := messageMost
	word := func() (string, error) {
		var b []byte
		for {
			c, err := r.ReadByte()
			switch {
			case err != nil:
				return string(b), err
			case c == 0:
				return string(b), nil
			}
			if left--; left == 0 {
				return "", errors.New("read a message: it does not end")
			}
			b = append(b, c)
		}
	}
	head, err := word()
	if errors.Is(err, io.EOF) && head == "" {
		return message{}, io.EOF
	}
	if err != nil {
		return message{}, fmt.Errorf("read a message: %w", unexpected(err))
	}
	n, err := strconv.Atoi(head)
	if err != nil || n < 1 || n > messageWords {
		return message{}, fmt.Errorf("read a message: %q words", head)
	}
	words := make([]string, n)
	for i := range words {
		if words[i], err = word(); err != nil {
			return message{}, fmt.Errorf("read a message: %w", unexpected(err))
		}
	}
	m, err := parseMessage(words)
	if err != nil {
		return message{}, fmt.Errorf("read a message: %w", err)
	}
	return m, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func parseMessage(words []string) (m message, err error) {
	for k := messageAlive; k <= messageDone; k++ {
		if k.String() == words[0] {
			m.Kind = k
		}
	}
	switch {
	case m.Kind == 0:
		return m, fmt.Errorf("no kind %q", words[0])
	case m.Kind == messageDone && len(words) == 1:
		return m, nil
	case m.Kind == messageDone || len(words) < 5:
		return m, fmt.Errorf("%s with %d words", m.Kind, len(words))
	}
	if m.Within, err = parseMilliseconds(words[1]); err != nil {
		return m, err
	}
	if m.Verdict.Action, err = plan.ParseAction(words[2]); err != nil {
		return m, err
	}
	if m.Verdict.Wait, err = parseMilliseconds(words[3]); err != nil {
		return m, err
	}
	m.Verdict.Root = words[4]
	if len(words) > 5 {
		m.Verdict.Argv = words[5:]
	}
	return m, m.Verdict.Check()
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func parseMilliseconds(word string) (time.Duration, error) {
	n, err := strconv.ParseUint(word, 10, 40) // 34 years
	if err != nil {
		return 0, fmt.Errorf("%q is not a number of milliseconds", word)
	}
	return time.Duration(n) * time.Millisecond, nil
}

// clip shortens a text to so many bytes, at the border of a character, and shows
// that it did.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	const more = " ..."
	cut := most - len(more)
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + more
}
