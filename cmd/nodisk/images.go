package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/build/site"
)

// atOnce is how many images are made at a time: one writes while another compresses.
const atOnce = 2

// makeImages makes several images. One that cannot be made does not keep the others from
// being made.
func (b *buildCmd) makeImages(ctx context.Context, o order, c console) error {
	began := time.Now()
	specs := make([]build.Spec, 0, len(o.requests))
	for i := range o.requests {
		o.requests[i].spec.Stdout = c.raw()
		specs = append(specs, o.requests[i].spec)
	}
	if err := b.checkSeveral(o); err != nil {
		return fmt.Errorf("build: %w", err)
	}
	wrong := build.OutputErrors(specs...)
	if len(wrong) > 0 && b.Images != "" { // a list is right as a whole, or none of it is made
		return fmt.Errorf("build: read images %s:\n%w", b.Images, build.CheckOutputs(specs...))
	}
	var (
		reports = make([]build.Report, len(o.requests))
		errs    = make([]error, len(o.requests))
		failed  = make([]bool, len(o.requests))
		mu      sync.Mutex
		made    int
	)
	for _, e := range wrong {
		errs = append(errs, fmt.Errorf("build: %w", e))
		for _, i := range e.Specs {
			failed[i] = true
		}
	}
	cache := b.cache()
	c = c.beside(specs...)
	status := b.statusLine(c)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, r := range o.requests {
		if failed[i] {
			continue
		}
		r.spec.Cache = cache
		group.Go(func() error {
			report, err := build.Image(ctx, r.spec, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs[i], failed[i] = fmt.Errorf("build %s: %s: %w", r.spec.Out, r.spec.Label, err), true
				return nil
			}
			made++
			status.show("making images", made, len(o.requests))
			reports[i] = report
			return nil
		})
	}
	err := group.Wait()
	status.end()
	err = errors.Join(err, errors.Join(o.failed...), errors.Join(errs...), b.record(ctx, o, failed, c))
	reports = slices.DeleteFunc(reports, func(r build.Report) bool { return r.Out == "" })
	return errors.Join(b.writeReports(c, o, reports, cache.Trim(), time.Since(began), err != nil), err)
}

// checkSeveral refuses what is for one image alone.
func (b *buildCmd) checkSeveral(o order) error {
	switch {
	case b.SecretOnly:
		return errors.New("--secret-only writes the secrets of one image: give its --secret and --secret-out " +
			"by themselves")
	case b.Tree:
		return errors.New("--tree is for one image: leave it out, and take nodisk inspect --tree afterwards")
	}
	if !b.All && (b.Image == nil || len(o.requests) < 2) {
		return nil
	}
	var errs []error
	for _, r := range o.requests {
		for _, name := range r.outs() {
			if output.IsStream(name) {
				errs = append(errs, fmt.Errorf("%s: %s keeps no image until its kernel goes: give a file, or make "+
					"this image alone, by --image",
					r.spec.Label, output.Name(name)))
			}
		}
	}
	return errors.Join(errs...)
}

// record remembers which files were made for which installed kernel.
func (b *buildCmd) record(ctx context.Context, o order, failed []bool, c console) error {
	if !o.recorded || b.DryRun {
		return nil
	}
	var errs []error
	for i, r := range o.requests {
		if r.release == "" || failed[i] {
			continue
		}
		outs := slices.DeleteFunc(r.outs(), output.IsStream)
		record := site.Record{Dir: b.State, Root: r.root, Tell: c.tell}
		if err := record.Add(ctx, r.release, outs...); err != nil {
			errs = append(errs, fmt.Errorf("build: %w; --state DIR remembers them elsewhere", err))
		}
	}
	return errors.Join(errs...)
}

// writeReports prints a line for each image, and what is to be known about them, once.
func (b *buildCmd) writeReports(c console, o order, reports []build.Report, trimmed error, took time.Duration,
	failed bool,
) error {
	if b.JSON {
		return writeJSON(c.out, jsonReports(o, reports, trimmed))
	}
	var images, known strings.Builder
	said := make(map[string]bool)
	say := func(kind string, lines []string) {
		for _, line := range lines {
			if line = kind + ": " + line; !said[line] && (!b.Quiet || kind == "warning") {
				said[line] = true
				fmt.Fprintln(&known, line)
			}
		}
	}
	say("note", o.notes)
	say("warning", o.warnings)
	for _, r := range reports {
		if r.DryRun {
			fmt.Fprintf(&images, "%9d bytes unpacked, not written (dry run)  %s", r.Raw, output.Name(r.Out))
		} else {
			fmt.Fprintf(&images, "%s  %9d bytes  %s", r.SHA256, r.Bytes, output.Name(r.Out))
		}
		if r.SecretOut != "" {
			fmt.Fprintf(&images, " and %s", output.Name(r.SecretOut))
		}
		fmt.Fprintf(&images, " (%s)\n", strings.Join(r.Profiles, ", "))
		say("note", r.Notes)
		say("warning", r.Warnings)
	}
	if trimmed != nil {
		say("warning", []string{trimmed.Error()})
	}
	if b.Quiet {
		_, err := io.WriteString(c.err, known.String())
		return err
	}
	if failed && len(reports) == 0 { // the error says it
		_, err := io.WriteString(c.out, known.String())
		return err
	}
	what := "images"
	if len(reports) == 1 {
		what = "image"
	}
	_, err := fmt.Fprintf(c.out, "%s%s%d %s, %.1f s\n", images.String(), known.String(), len(reports), what,
		took.Seconds())
	return err
}
