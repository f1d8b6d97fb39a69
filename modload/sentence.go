package modload

import "strings"

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

// about tells whether a message names the module as a word of its own.
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
		"Loading of ", "Lockdown:", "PKCS#7", "Invalid ELF", "Module has invalid ELF", "module: ", "Module len ", "BPF:",
	} {
		if strings.HasPrefix(message, start) {
			return true
		}
	}
	return false
}
