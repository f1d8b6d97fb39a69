// Package yamlfile reads the YAML files that people write for nodisk
// (https://yaml.org/spec/1.2.2), and says in plain words, with line and column, why one cannot be
// read. Own code over the nodes of yaml/v4, as are the layers above it (build/site, build/pxe):
// its decoder into structs was tried, but its errors have no column and speak of Go types.
package yamlfile

import (
	"bytes"
	"errors"
	"io"

	"go.yaml.in/yaml/v4"
)

// A SyntaxError is a place where a text is not YAML. Lines and columns are counted from 1.
type SyntaxError struct {
	Line, Column int
	Text         string
}

// Error is what is wrong, without the place.
func (e *SyntaxError) Error() string { return e.Text }

type position struct{ Line, Column int }

// Documents reads the first two documents of a text: a caller that wants one can reject a second.
// A text that is not YAML is a [*SyntaxError].
func Documents(text []byte) ([]*yaml.Node, error) {
	if where, what := unreadable(text); what != "" {
		return nil, &SyntaxError{where.Line, where.Column, what}
	}
	var docs []*yaml.Node
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	for err == nil && len(docs) < 2 {
		doc := &yaml.Node{}
		if err = loader.Load(doc); err == nil {
			docs = append(docs, doc)
		}
	}
	if wrong, ok := errors.AsType[*yaml.LoadError](err); ok {
		where, what := syntax(wrong, text)
		return nil, &SyntaxError{max(where.Line, 1), max(where.Column, 1), what}
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return docs, nil
}
