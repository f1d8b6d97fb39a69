package plan

import (
	"slices"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// meant is the known key that the author of name had in mind, empty when it is not clear: no hint
// is better than a wrong one.
func (table keyTable) meant(name string) string {
	var names []string
	for _, k := range table {
		if !strings.HasSuffix(k.Name, "*") {
			names = append(names, k.Name)
		}
	}
	return meant(name, names)
}

// slip is meant for arguments that need not be keys: some of the many that the kernel and the
// root's system have resemble one.
func slip(word string) string {
	var long []string
	for _, k := range Keys() {
		switch {
		case k.State != cmdline.KeyDone || k.As != "":
		case strings.EqualFold(k.Name, word):
			return k.Name
		case len(k.Name) > 3 && k.Name != "boot": // which much resembles
			long = append(long, k.Name)
		}
	}
	if len(word) < 3 || others(word) {
		return ""
	}
	return meant(word, long)
}

// others recognises arguments of the kernel and of other programs that resemble a key and are in
// none of the manuals of Keys.
func others(name string) bool {
	return slices.Contains([]string{"initrd", "netboot", "noinit", "oops", "boot_delay"}, name)
}

// meant finds the one of names that was meant: it is written apart in another way, a
// word in its middle was left out, or some letters are wrong. A boot asks it for every
// word that is no key, of some hundred keys: most are ruled out before anything is taken apart.
func meant(name string, names []string) string {
	words := keyWords(strings.ToLower(name))
	var near, longer []string
	for _, k := range names {
		switch {
		case sameLetters(k, name):
			return k
		case leavesOut(words, k):
			longer = append(longer, k)
		case slipped(name, k):
			near = append(near, k)
		}
	}
	if len(longer) == 1 {
		return longer[0]
	}
	return cmdline.Nearest(name, near, mostWrong(name)+1)
}

// sameLetters reports whether two keys are the same but for what stands between their
// words, and for capitals.
func sameLetters(a, b string) bool {
	for {
		a, b = strings.TrimLeft(a, wordEnds), strings.TrimLeft(b, wordEnds)
		if a == "" || b == "" {
			return a == b
		}
		if lower(a[0]) != lower(b[0]) {
			return false
		}
		a, b = a[1:], b[1:]
	}
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// mostWrong is how many letters of a key a typing error may get wrong.
func mostWrong(key string) int { return 1 + len(key)/9 }

// slipped reports whether a typing error turns one key into the other: in none of its words,
// between the dots, more than a third of the letters is wrong, and none in those of three
// letters. What all keys begin with does not make them similar: rd.iscsi.ip is not rd.iscsi.mp.
func slipped(a, b string) bool {
	for {
		var one, other string
		var more, others bool
		one, a, more = strings.Cut(a, ".")
		other, b, others = strings.Cut(b, ".")
		switch {
		case more != others:
			return false
		case one != other && !slippedWord(one, other):
			return false
		case !more:
			return true
		}
	}
}

// slippedWord is slipped for what is between two dots, the known one second.
func slippedWord(a, b string) bool {
	limit := (len(b)+1)/3 + 1
	// The first of these is Nearest's own rule, without the list that it needs.
	return max(len(a)-len(b), len(b)-len(a)) < limit && len(b) >= 4 && cmdline.Nearest(a, []string{b}, limit) != ""
}

// leavesOut reports whether a key, given by its words in lower case, is the long one
// without some of the words in its middle.
func leavesOut(short []string, long string) bool {
	if len(short) < 2 || !strings.HasPrefix(long, short[0]) || !strings.HasSuffix(long, short[len(short)-1]) {
		return false
	}
	words := keyWords(long)
	if len(short) >= len(words) || short[0] != words[0] || short[len(short)-1] != words[len(words)-1] {
		return false
	}
	for _, word := range words {
		if len(short) > 0 && short[0] == word {
			short = short[1:]
		}
	}
	return len(short) == 0
}

// wordEnds is what stands between the words of a key.
const wordEnds = "._-"

// keyWords are what a key is made of.
func keyWords(key string) []string {
	return strings.FieldsFunc(key, func(r rune) bool { return strings.ContainsRune(wordEnds, r) })
}
