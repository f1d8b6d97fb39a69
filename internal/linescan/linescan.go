// Package linescan reads text line by line, and says in plain words which line is wrong.
package linescan

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Longest is how long a line may be by default, in bytes.
const Longest = 1 << 20

// A Scanner is a [bufio.Scanner] of lines that counts them.
type Scanner struct {
	*bufio.Scanner
	longest, number int
}

// New reads r. A line of longest bytes, its end among them, or more is an error.
func New(r io.Reader, longest int) *Scanner {
	s := &Scanner{Scanner: bufio.NewScanner(r), longest: longest}
	s.Buffer(nil, longest)
	return s
}

// Scan goes to the next line.
func (s *Scanner) Scan() bool {
	if !s.Scanner.Scan() {
		return false
	}
	s.number++
	return true
}

// Number is that of the line that Scan went to, counted from 1.
func (s *Scanner) Number() int { return s.number }

// Err is why Scan ended, nil at the end of the text.
func (s *Scanner) Err() error {
	err := s.Scanner.Err()
	if errors.Is(err, bufio.ErrTooLong) {
		return fmt.Errorf("line %d is longer than %d KiB: it is not the text file that it should be",
			s.number+1, s.longest>>10)
	}
	return err
}
