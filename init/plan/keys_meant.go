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
// word in its middle was left out, or some letters are wrong.
func meant(name string, names []string) string {
	together := func(s string) string { return strings.Join(keyWords(s), "") }
	var near, longer []string
	for _, k := range names {
		switch {
		case strings.EqualFold(together(k), together(name)):
			return k
		case leavesOut(name, k):
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

// mostWrong is how many letters of a key a typing error may get wrong.
func mostWrong(key string) int { return 1 + len(key)/9 }

// slipped reports whether a typing error turns one key into the other: in none of its words,
// between the dots, more than a third of the letters is wrong, and none in those of three
// letters. What all keys begin with does not make them similar: rd.iscsi.ip is not rd.iscsi.mp.
func slipped(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range as {
		switch {
		case len(as) != len(bs):
			return false
		case as[i] == bs[i]:
		case len(bs[i]) < 4 || cmdline.Nearest(as[i], bs[i:i+1], (len(bs[i])+1)/3+1) == "":
			return false
		}
	}
	return true
}

// leavesOut reports whether the short key is the long one without some of the words in
// its middle.
func leavesOut(short, long string) bool {
	s, l := keyWords(strings.ToLower(short)), keyWords(long)
	if len(s) < 2 || len(s) >= len(l) || s[0] != l[0] || s[len(s)-1] != l[len(l)-1] {
		return false
	}
	for _, word := range l {
		if len(s) > 0 && s[0] == word {
			s = s[1:]
		}
	}
	return len(s) == 0
}

// keyWords are what a key is made of.
func keyWords(key string) []string {
	return strings.FieldsFunc(key, func(r rune) bool { return r == '.' || r == '_' || r == '-' })
}
