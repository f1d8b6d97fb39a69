package main

import (
	"fmt"
	"time"
)

// A duration is a flag's, written as 90s or 1m30s.
type duration time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%q is not a time such as 90s, 3m or 1m30s", text)
	}
	*d = duration(parsed)
	return nil
}

// String writes it as it is read.
func (d duration) String() string { return time.Duration(d).String() }
