package rootfs

// splitOptions splits at commas outside double quotes.
func splitOptions(text string) []string {
	var words []string
	quoted, start := false, 0
	for i := range len(text) {
		switch text[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				words = append(words, text[start:i])
				start = i + 1
			}
		}
	}
	if start < len(text) {
		words = append(words, text[start:])
	}
	return words
}

// readOnly is how the root is mounted: an ro or rw in its options wins, the last of
// them.
func (r Root) readOnly() bool {
	options := r.Flags
	if r.Kind == KindNFS {
		options = r.NFS.Options // flags are among them
	}
	ro := r.ReadOnly
	for _, word := range splitOptions(options) {
		if word == "ro" || word == "rw" {
			ro = word == "ro"
		}
	}
	return ro
}
