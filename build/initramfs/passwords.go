package initramfs

import (
	"strings"
)

// withoutPasswords is a line of a config without what is after the user's name in a root path
// (iscsi:user:password:ruser:rpassword@server..., dracut.cmdline(7)), and without what follows a key with the word
// password: whoever prints an image may not be the only one who sees it. What is not a comment is a key with its
// value, which may have spaces. nodisk inspect -f prints a config as it is.
func withoutPasswords(line string) string {
	const hidden = "***"
	if key, _, ok := strings.Cut(line, "="); ok && strings.Contains(strings.ToLower(key), "password") {
		return key + "=" + hidden
	}
	before, root, ok := strings.Cut(line, "iscsi:")
	if !ok {
		return line
	}
	account, server, ok := strings.Cut(root, "@")
	user, _, secret := strings.Cut(account, ":")
	if !ok || !secret || strings.ContainsAny(user, "[/") {
		return line
	}
	return before + "iscsi:" + user + ":" + hidden + "@" + server
}
