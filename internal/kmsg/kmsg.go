// Package kmsg reads the kernel's log, record by record: the reason behind a bare errno of a
// module that does not load or a mount that fails.
package kmsg

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// A Record is one record of the kernel's log.
type Record struct {
	Priority int           // syslog level 0-7, without the facility
	Sequence uint64        // number since boot
	Time     time.Duration // since boot
	Message  string        // one line, escapes undone
}

// Parse reads what one read(2) of /dev/kmsg returns:
// "prio,seq,microseconds,flags[,...];message", then lines of properties that
// begin with a space (Documentation/ABI/testing/dev-kmsg).
func Parse(data []byte) (Record, error) {
	head, rest, ok := bytes.Cut(data, []byte{';'})
	if !ok {
		return Record{}, fmt.Errorf("parse kernel log record: no semicolon in %q", data[:min(len(data), 64)])
	}
	fields := strings.Split(string(head), ",")
	if len(fields) < 3 {
		return Record{}, fmt.Errorf("parse kernel log record: %d fields before the semicolon, want at least 3", len(fields))
	}
	priority, err := strconv.ParseUint(fields[0], 10, 16)
	if err != nil {
		return Record{}, fmt.Errorf("parse kernel log record: priority: %w", err)
	}
	sequence, err := strconv.ParseUint(fields[1], 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("parse kernel log record: sequence: %w", err)
	}
	usec, err := strconv.ParseUint(fields[2], 10, 53)
	if err != nil {
		return Record{}, fmt.Errorf("parse kernel log record: time: %w", err)
	}
	message, _, _ := bytes.Cut(rest, []byte{'\n'})
	return Record{
		Priority: int(priority & 7),
		Sequence: sequence,
		Time:     time.Duration(usec) * time.Microsecond,
		Message:  unescape(string(message)),
	}, nil
}

// unescape undoes \xNN, which the kernel writes for bytes it will not print.
func unescape(s string) string {
	if !strings.Contains(s, `\x`) {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if strings.HasPrefix(s[i:], `\x`) && len(s) >= i+4 {
			if n, err := strconv.ParseUint(s[i+2:i+4], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 3
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}
