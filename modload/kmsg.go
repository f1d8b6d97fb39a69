package modload

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

// ParseRecord reads what one read(2) of /dev/kmsg returns:
// "prio,seq,microseconds,flags[,...];message", then lines of properties that
// begin with a space (Documentation/ABI/testing/dev-kmsg).
func ParseRecord(data []byte) (Record, error) {
	head, rest, ok := bytes.Cut(data, []byte{';'})
	if !ok {
		return Record{}, fmt.Errorf("parse kernel log record: no semicolon in %q", data[:min(len(data), 64)])
	}
	fields := strings.Split(string(head), ",")
	if len(fields) < 3 {
		return Record{}, fmt.Errorf("parse kernel log record: %d fields before the semicolon, want at least 3",
			len(fields))
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

// sentence picks from what the kernel logged during the load of a module
// the line that says why it refused. Other modules load at the same time, so a
// line must name the module, or be of those that name none. Where several
// do, the first that matches the earliest pattern is the cause; the rest follow from it.
func sentence(module string, messages []string) string {
	for _, pattern := range [...]string{
		"version magic", "disagrees about version of symbol", "no symbol version for",
		"Unknown symbol", "exports duplicate symbol", "invalid for parameter",
		"is blacklisted", "is rejected", "is restricted",
	} {
		for _, m := range messages {
			if strings.Contains(m, pattern) && (about(module, m) || anonymous(m)) {
				return m
			}
		}
	}
	for _, m := range messages {
		if about(module, m) {
			return m
		}
	}
	for _, m := range messages {
		if anonymous(m) {
			return m
		}
	}
	return ""
}

// about reports whether a message names the module as a word of its own.
func about(module, message string) bool {
	message = normal(message)
	for from := 0; ; {
		i := strings.Index(message[from:], module)
		if i < 0 || module == "" {
			return false
		}
		i += from
		end := i + len(module)
		if (i == 0 || !isName(message[i-1])) && (end == len(message) || !isName(message[end])) {
			return true
		}
		from = i + 1
	}
}

func isName(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// anonymous are the loader's own lines that name no module
// (kernel/module/main.c, signing.c, security/lockdown).
func anonymous(message string) bool {
	for _, start := range [...]string{
		"Loading of ", "Lockdown:", "PKCS#7", "Invalid ELF", "Module has invalid ELF", "module: ", "Module len ",
		"BPF:",
	} {
		if strings.HasPrefix(message, start) {
			return true
		}
	}
	return false
}
