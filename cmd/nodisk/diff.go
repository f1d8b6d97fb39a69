package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/nodisk/nodisk/build/initramfs"
)

// diffCmd is "nodisk diff".
type diffCmd struct {
	A    string `arg:"" help:"The one image, or - for standard input."`
	B    string `arg:"" help:"The other."`
	JSON bool   `help:"Print one JSON document."`
}

// Help is the end of nodisk diff --help.
func (diffCmd) Help() string {
	return "Compares what the kernel makes of the images: types, modes, owners, contents, links; not times. Exit " +
		"status, as diff(1): 0 no difference, 1 differences, 2 an image cannot be read."
}

// exitDifferent is the status of diff(1) for what differs.
const exitDifferent = 1

// Run prints what differs.
func (d *diffCmd) Run(ctx context.Context, c console) error {
	if d.A == "-" && d.B == "-" {
		return &usageError{errors.New("diff: only one of the images can be standard input")}
	}
	defer frugal()()
	diff, err := d.compare(ctx)
	if err == nil && d.JSON {
		err = diff.WriteJSON(c.out)
	} else if err == nil {
		err = diff.WriteText(c.out)
	}
	switch {
	case err != nil:
		return &usageError{fmt.Errorf("diff: %w", err)} // trouble, for scripts
	case !diff.Same():
		return exitStatus(exitDifferent)
	}
	return nil
}

func (d *diffCmd) compare(ctx context.Context) (_ initramfs.Differences, err error) {
	var images []*initramfs.Reader
	for _, name := range []string{d.A, d.B} {
		src, err2 := openImage(ctx, name)
		if err2 != nil {
			return initramfs.Differences{}, err2
		}
		defer func() { err = errors.Join(err, src.Close()) }()
		r, err2 := initramfs.ReadSource(ctx, src, true)
		if err2 != nil {
			return initramfs.Differences{}, fmt.Errorf("%s: %w", name, err2)
		}
		images = append(images, r)
	}
	return initramfs.Diff(ctx, images[0], images[1])
}
