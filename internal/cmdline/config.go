package cmdline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// byteOrderMark is what editors of Windows put before text in UTF-8.
const byteOrderMark = "\ufeff"

// longestLine bounds a line of a config file, in bytes. The kernel's own command line has 4 KiB at most
// (COMMAND_LINE_SIZE).
const longestLine = 64 << 10

// ParseConfig reads a config file: one key or key=value a line, "#" at the
// start of a line begins a comment, blank lines are skipped. The value runs to
// the end of the line, less white space around it and one pair of double
// quotes. Lines may end as on Windows, and begin with a byte order mark, which is passed
// over. All bad lines are reported, joined; a file that is not text in UTF-8 or ASCII is one error.
func ParseConfig(r io.Reader) (Args, error) {
	var (
		args Args
		errs []error
	)
	in := bufio.NewReader(r)
	if head, err := in.Peek(2); err == nil && (string(head) == "\xff\xfe" || string(head) == "\xfe\xff") {
		return nil, errors.New("the file is in UTF-16: save it as UTF-8")
	}
	s := bufio.NewScanner(in)
	s.Buffer(nil, longestLine)
	n := 0
	for s.Scan() {
		n++
		a, ok, err := configLine(s.Bytes())
		switch {
		case err != nil:
			errs = append(errs, fmt.Errorf("line %d: %w", n, err))
		case ok:
			args = append(args, a)
		}
	}
	switch err := s.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		errs = append(errs, fmt.Errorf("line %d is longer than %d KiB", n+1, longestLine>>10))
	case err != nil:
		errs = append(errs, fmt.Errorf("read config: %w", err))
	}
	return args, errors.Join(errs...)
}

// configLine reads one line; ok is false for those that say nothing. No key gets lost: a line
// in which one could hide is an error.
func configLine(raw []byte) (a Arg, ok bool, err error) {
	switch i := bytes.IndexAny(bytes.TrimRight(raw, "\r"), "\x00\r"); {
	case i < 0:
	case raw[i] == 0:
		return Arg{}, false, errors.New("it has a NUL byte: the file is not text in UTF-8")
	default:
		return Arg{}, false, errors.New("it has a carriage return inside: end lines with a line feed")
	}
	line := strings.TrimSpace(strings.TrimPrefix(string(raw), byteOrderMark))
	if line == "" || strings.HasPrefix(line, "#") {
		return Arg{}, false, nil
	}
	key, value, has := strings.Cut(line, "=")
	key = strings.TrimSpace(key)
	if key == "" || strings.ContainsAny(key, " \t\"") {
		return Arg{}, false, fmt.Errorf("%q is not key=value", line)
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return Arg{}, false, fmt.Errorf("the key %q has a character that no key has: write it in ASCII", key)
	}
	return Arg{Key: key, Value: unquote(strings.TrimSpace(value)), HasValue: has}, true, nil
}

// HasByteOrderMark reports whether a line of a config file begins with one.
func HasByteOrderMark(config []byte) bool {
	for line := range bytes.Lines(config) {
		if bytes.HasPrefix(line, []byte(byteOrderMark)) {
			return true
		}
	}
	return false
}
