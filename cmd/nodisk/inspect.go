package main

import (
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/nodisk/nodisk/build"
)

// inspectCmd is "nodisk inspect".
type inspectCmd struct {
	Image string `arg:"" help:"Image, or - for standard input."`
	Files bool   `help:"List every file." default:"true" negatable:""`
	Tree  bool   `help:"Print the sizes as a tree instead."`
}

// Run prints what is in the image.
func (i *inspectCmd) Run(c console) error {
	in := io.Reader(os.Stdin)
	if i.Image != "-" {
		f, err := os.Open(i.Image)
		if err != nil {
			return fmt.Errorf("inspect: %w", err)
		}
		defer f.Close() //nolint:errcheck // nothing was written
		in = f
	}
	contents, err := build.Inspect(in)
	if err != nil {
		return fmt.Errorf("%s: %w", i.Image, err)
	}
	if i.Tree {
		return contents.WriteTree(c.out)
	}
	if err := contents.WriteText(c.out, i.Files); err != nil {
		return err
	}
	if plan := planHooks().PrintPlan; plan != nil && contents.Config != "" {
		if _, err := fmt.Fprintln(c.out, "plan:"); err != nil {
			return err
		}
		return plan(c.out, strings.NewReader(contents.Config))
	}
	return nil
}
