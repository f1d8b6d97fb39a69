package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
)

// inspectCmd is "nodisk inspect".
type inspectCmd struct {
	Image  string `arg:"" help:"Image, or - for standard input."`
	Files  bool   `help:"List every file." default:"true" negatable:""`
	Tree   bool   `help:"Print the sizes as a tree instead." xor:"how"`
	File   string `help:"Print the content of a file of the image instead, as the node has it: links are followed within the image." short:"f" placeholder:"FILE" xor:"how"`
	Unpack string `help:"Unpack the image into a new or empty directory instead, as the kernel does: for root with owners and devices." placeholder:"DIR" xor:"how"`
	SetID  bool   `help:"With --unpack: keep set-user-ID and set-group-ID bits of files." name:"setid"`
	JSON   bool   `help:"Print one JSON document instead, with the hashes of the files." xor:"how"`
}

// Run prints what is in the image.
func (i *inspectCmd) Run(ctx context.Context, c console) (err error) {
	if i.SetID && i.Unpack == "" {
		return &usageError{errors.New("inspect: --setid is for --unpack DIR")}
	}
	if !i.Files && (i.Tree || i.JSON || i.File != "" || i.Unpack != "") {
		return &usageError{errors.New("inspect: --no-files leaves them out of the summary, which --tree, --file, " +
			"--unpack and --json take the place of: leave it out")}
	}
	defer frugal()()
	src, err := openImage(ctx, i.Image)
	if err != nil {
		return fmt.Errorf("inspect: %w", err)
	}
	defer func() { err = errors.Join(err, src.Close()) }()
	if i.File != "" || i.Unpack != "" {
		return i.extract(ctx, c, src)
	}
	contents, err := initramfs.InspectSource(ctx, src, i.JSON)
	if err != nil {
		return fmt.Errorf("%s: %w", i.Image, err)
	}
	switch {
	case i.JSON:
		return contents.WriteJSON(c.out)
	case i.Tree:
		return contents.WriteTree(c.out)
	}
	if err := contents.WriteText(c.out, i.Files); err != nil {
		return err
	}
	if contents.Config != "" {
		if _, err := fmt.Fprintln(c.out, "plan:"); err != nil {
			return err
		}
		return printPlan(c.out, strings.NewReader(contents.Config))
	}
	return nil
}

// extract takes files out of the image.
func (i *inspectCmd) extract(ctx context.Context, c console, src *initramfs.Source) error {
	image, err := initramfs.ReadSource(ctx, src, false)
	if err != nil {
		return fmt.Errorf("%s: %w", i.Image, err)
	}
	if i.File != "" {
		if err := image.WriteFile(ctx, c.raw(), i.File); err != nil {
			return fmt.Errorf("%s: %w", i.Image, err)
		}
		return nil
	}
	done, err := image.Unpack(ctx, initramfs.Unpacking{Dir: i.Unpack, SetID: i.SetID})
	if err != nil {
		return fmt.Errorf("%s: %w", i.Image, err)
	}
	for _, n := range done.Notes {
		if _, err := fmt.Fprintf(c.err, "note: %s\n", n); err != nil {
			return err
		}
	}
	_, err = fmt.Fprintf(c.out, "%s: %d files, %d directories, %d links, %d devices and FIFOs\n",
		i.Unpack, done.Files, done.Dirs, done.Links, done.Devices)
	return err
}

// frugal has the collector of garbage run more often, for commands that read images and trees
// of whatever size, and returns what undoes that.
func frugal() func() {
	const percent = 30
	before := debug.SetGCPercent(percent)
	return func() { debug.SetGCPercent(before) }
}

// openImage opens an image, or standard input for "-".
func openImage(ctx context.Context, name string) (*initramfs.Source, error) {
	if name == "-" {
		return initramfs.NewSource(ctx, standardInput(ctx))
	}
	if info, err := os.Stat(name); errors.Is(err, fs.ErrNotExist) || err == nil && info.IsDir() {
		_, err := initramfs.OpenSource(ctx, name)
		return nil, &usageError{err}
	}
	return initramfs.OpenSource(ctx, name)
}
