package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"
	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build"
)

// An imageList is the file of --images: flags of nodisk build by their long names, a
// text, a list or true each.
type imageList struct {
	Common imageEntry   `yaml:"common"`
	Images []imageEntry `yaml:"images"`
}

// An imageEntry are the flags of one image.
type imageEntry map[string]any

// atOnce is how many images are made at a time: one writes while another compresses.
const atOnce = 2

// makeImages is nodisk build --images. Nothing is written before all entries are
// found good.
func (b *buildCmd) makeImages(ctx context.Context, c console) error {
	began := time.Now()
	data, err := os.ReadFile(b.Images)
	if err != nil {
		return fmt.Errorf("build: read images: %w", err)
	}
	specs, err := parseImages(data)
	if err != nil {
		return fmt.Errorf("build: read images %s:\n%w", b.Images, err)
	}
	for i := range specs {
		specs[i].Inputs, specs[i].Stdout = append(specs[i].Inputs, b.inputs()...), c.out
	}
	if err := build.CheckOutputs(specs...); err != nil {
		return fmt.Errorf("build: read images %s:\n%w", b.Images, err)
	}
	cache := b.cache()
	c = c.beside(specs...)
	var (
		reports = make([]build.Report, len(specs))
		mu      sync.Mutex
		made    int
	)
	line := newStatusLine(c.err)
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, spec := range specs {
		spec.Cache = cache
		group.Go(func() error {
			report, err := build.Image(ctx, spec, nil)
			if err != nil {
				return fmt.Errorf("build %s: %w", spec.Out, err)
			}
			mu.Lock()
			defer mu.Unlock()
			made++
			line.show("making images", made, len(specs))
			reports[i] = report
			return nil
		})
	}
	err = group.Wait()
	line.end()
	if err != nil {
		return err
	}
	return writeReports(c.out, reports, cache.Trim(), time.Since(began))
}

// writeReports prints a line for each image, and what is to be known about them, once.
func writeReports(w io.Writer, reports []build.Report, trimmed error, took time.Duration) error {
	var (
		out   strings.Builder
		known []string
	)
	say := func(kind string, lines []string) {
		for _, line := range lines {
			if line = kind + ": " + line; !slices.Contains(known, line) {
				known = append(known, line)
			}
		}
	}
	for _, r := range reports {
		fmt.Fprintf(&out, "%s  %9d bytes  %s", r.SHA256, r.Bytes, build.OutputName(r.Out))
		if r.SecretOut != "" {
			fmt.Fprintf(&out, " and %s", build.OutputName(r.SecretOut))
		}
		fmt.Fprintf(&out, " (%s)\n", strings.Join(r.Profiles, ", "))
		say("note", r.Notes)
		say("warning", r.Warnings)
	}
	if trimmed != nil {
		say("warning", []string{trimmed.Error()})
	}
	for _, line := range known {
		fmt.Fprintln(&out, line)
	}
	what := "images"
	if len(reports) == 1 {
		what = "image"
	}
	fmt.Fprintf(&out, "%d %s, %.1f s\n", len(reports), what, took.Seconds())
	_, err := io.WriteString(w, out.String())
	return err
}

// parseImages turns the file of --images into specs. All errors are reported.
func parseImages(data []byte) ([]build.Spec, error) {
	var list imageList
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("%w; it has \"common:\", flags of all images, and \"images:\", a list with the flags of each", err)
	}
	if len(list.Images) == 0 {
		return nil, errors.New(`there are none: list them below "images:", each with "out: FILE" at least`)
	}
	var (
		specs []build.Spec
		errs  []error
	)
	for i, entry := range list.Images {
		spec, err := entry.spec(list.Common)
		if err != nil {
			errs = append(errs, fmt.Errorf("image %d: %w", i+1, err))
			continue
		}
		specs = append(specs, spec)
	}
	return specs, errors.Join(errs...)
}

// spec reads the flags of an image as the command line would have them, behind
// the common ones: of flags that take one value the image's counts, of
// repeatable ones both do.
func (e imageEntry) spec(common imageEntry) (build.Spec, error) {
	if _, ok := e["out"]; !ok {
		return build.Spec{}, errors.New(`it has no "out: FILE"`)
	}
	var command buildCmd
	parser, err := kong.New(&command, kong.Name("image"), kong.Vars{"profiles": defaultProfiles}, kong.Exit(func(int) {}))
	if err != nil {
		return build.Spec{}, err
	}
	args, err := e.args(common)
	if err != nil {
		return build.Spec{}, err
	}
	if _, err := parser.Parse(args); err != nil {
		return build.Spec{}, err
	}
	return command.spec()
}

// args are the flags of an image, in the order of their names.
func (e imageEntry) args(common imageEntry) ([]string, error) {
	var (
		args []string
		errs []error
	)
	for _, flags := range []imageEntry{common, e} {
		names := make([]string, 0, len(flags))
		for name := range flags {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, name := range names {
			if slices.Contains([]string{"help", "images", "no-cache", "secret-only", "tree"}, name) {
				errs = append(errs, fmt.Errorf("%q is for the command line, not for an image", name))
				continue
			}
			more, err := flagArgs(name, flags[name])
			errs = append(errs, err)
			args = append(args, more...)
		}
	}
	return args, errors.Join(errs...)
}

// flagArgs spells one flag.
func flagArgs(name string, value any) ([]string, error) {
	switch v := value.(type) {
	case bool:
		if !v {
			return nil, nil
		}
		return []string{"--" + name}, nil
	case string, int:
		return []string{fmt.Sprintf("--%s=%v", name, v)}, nil
	case []any:
		var args []string
		for _, element := range v {
			text, ok := element.(string)
			if !ok {
				return nil, fmt.Errorf("%s: %v is no text: put it in quotes", name, element)
			}
			args = append(args, "--"+name+"="+text)
		}
		return args, nil
	}
	return nil, fmt.Errorf("%s: %v is neither a text nor a list nor true", name, value)
}
