package yamlfile

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Places and sentences; those of many more texts are in package pxe (TestYAMLErrors).
func TestDocuments(t *testing.T) {
	for text, want := range map[string]SyntaxError{
		"a: b\n\tc: d\n":    {2, 1, "a tab: YAML indents with spaces alone"},
		"a: \"b\nc: d\n":    {1, 4, "the quotes that begin here are never closed"},
		"a: b\nc: \xff\n":   {2, 4, "byte 0xff is not UTF-8: save the file in UTF-8"},
		"a: b\n---\n- [c\n": {4, 1, "the bracket of line 3, column 3 is not closed, or a comma is missing before this"},
	} {
		docs, err := Documents([]byte(text))
		got, ok := errors.AsType[*SyntaxError](err)
		if !ok || docs != nil {
			t.Errorf("%q: %v, %v", text, docs, err)
			continue
		}
		if diff := cmp.Diff(want, *got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for text, want := range map[string]int{"": 0, "# nothing\n": 0, "a: b\n": 1, "a\n---\nb\n---\nc\n": 2} {
		if docs, err := Documents([]byte(text)); err != nil || len(docs) != want {
			t.Errorf("%q: %d documents, %v", text, len(docs), err)
		}
	}
}
