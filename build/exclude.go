package build

import (
	"fmt"
	"path"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/internal/escape"
)

// An exclusion is a pattern of paths in the image that --add leaves out.
type exclusion struct {
	text  string
	words []string
	hits  int
}

// parseExclusions reads patterns as path.Match has them, a word of a path at a time: * and ? do
// not match a slash. A word ** matches any number of directories, also none.
func parseExclusions(patterns []string) ([]*exclusion, error) {
	var list []*exclusion
	for _, text := range patterns {
		name := initramfs.CleanName(text)
		if name == "" {
			return nil, fmt.Errorf("exclude %q: that is the whole image: give a path in it, such as var/cache/apt/*",
				text)
		}
		if _, err := path.Match(name, ""); err != nil {
			return nil, fmt.Errorf("exclude %q: not a pattern: a [ needs its ], and a \\ something after it", text)
		}
		list = append(list, &exclusion{text: text, words: strings.Split(name, "/")})
	}
	return list, nil
}

// excluded reports whether a pattern takes a path. What lies in a directory that is taken is
// never asked about: nobody goes there.
func excluded(list []*exclusion, name string) bool {
	found := false
	for _, e := range list {
		if matchWords(e.words, strings.Split(name, "/")) {
			e.hits++
			found = true
		}
	}
	return found
}

// excludedBelow reports whether a pattern takes a path or a directory above it.
func excludedBelow(list []*exclusion, name string) bool {
	for ; name != "."; name = path.Dir(name) {
		if excluded(list, name) {
			return true
		}
	}
	return false
}

func matchWords(pattern, words []string) bool {
	if len(pattern) == 0 {
		return len(words) == 0
	}
	if pattern[0] == "**" {
		return matchWords(pattern[1:], words) || len(words) > 0 && matchWords(pattern, words[1:])
	}
	if len(words) == 0 {
		return false
	}
	ok, err := path.Match(pattern[0], words[0])
	return err == nil && ok && matchWords(pattern[1:], words[1:])
}

// A tally counts files of one kind and remembers the first of them.
type tally struct {
	count int
	first []string
}

// tallyNames is how many files a tally names.
const tallyNames = 3

func (t *tally) add(name string) {
	t.count++
	if len(t.first) < tallyNames {
		t.first = append(t.first, escape.Text(name))
	}
}

// names are the first files, and how many more there are.
func (t *tally) names() string {
	text := strings.Join(t.first, ", ")
	if more := t.count - len(t.first); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
