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
