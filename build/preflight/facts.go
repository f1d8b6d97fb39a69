package preflight

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/ko"
)

// factsMax bounds a module whose file is looked into. Nothing is known of a larger one.
const factsMax = 128 << 20

// readFacts reads what plain modules say of themselves, one after the other.
func (i *Image) readFacts(ctx context.Context, r *build.ImageReader) error {
	facts := make(map[string]*ko.Module)
	i.fact = func(at string) *ko.Module {
		without, _ := r.RealPath(i.above + at)
		return facts[without]
	}
	var buf bytes.Buffer // one for all: ko.Parse keeps nothing of it
	isModule := func(name string) bool {
		return strings.HasSuffix(name, ".ko") && strings.Contains("/"+name, "/"+modulesDir+"/")
	}
	return r.Visit(ctx, isModule, func(names []string, size int64, content io.Reader) error {
		if size > factsMax {
			return nil
		}
		buf.Reset()
		buf.Grow(int(size) + bytes.MinRead)
		if _, err := buf.ReadFrom(content); err != nil {
			return err
		}
		m, err := ko.Parse(buf.Bytes())
		if err != nil {
			return nil //nolint:nilerr // build.Check says what is wrong with it
		}
		for _, name := range names {
			facts[name] = &ko.Module{Name: m.Name, Arch: m.Arch, Info: m.Info}
		}
		return nil
	})
}
