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
	if err := build.CheckOutputs(specs...); err != nil {
		if b.Images != "" {
			return fmt.Errorf("build: read images %s:\n%w", b.Images, err)
		}
		return fmt.Errorf("build: %w", err)
	}
	cache := b.cache()
	c = c.beside(specs...)
	var (
		reports = make([]build.Report, len(o.requests))
		errs    = make([]error, len(o.requests))
		mu      sync.Mutex
		made    int
	)
	status := b.statusLine(c)
	var group errgroup.Group
	group.SetLimit(atOnce)
	for i, r := range o.requests {
		r.spec.Cache = cache
		group.Go(func() error {
			report, err := build.Image(ctx, r.spec, nil)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				errs[i] = fmt.Errorf("build %s: %w", r.spec.Out, err)
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
	err = errors.Join(err, errors.Join(errs...), b.record(o, errs))
	reports = slices.DeleteFunc(reports, func(r build.Report) bool { return r.Out == "" })
	return errors.Join(b.writeReports(c, o, reports, cache.Trim(), time.Since(began)), err)
}

// record remembers which files were made for which installed kernel.
func (b *buildCmd) record(o order, failed []error) error {
	if !o.recorded || b.DryRun {
		return nil
	}
	var errs []error
	for i, r := range o.requests {
		if r.release == "" || failed[i] != nil {
			continue
		}
		outs := slices.DeleteFunc([]string{r.spec.Out, r.spec.SecretOut, r.spec.SBOM}, func(name string) bool { return name == "" })
		record := site.Record{Dir: b.State, Root: r.root}
		if err := record.Add(r.release, outs...); err != nil {
			errs = append(errs, fmt.Errorf("build: %w; --state DIR remembers them elsewhere", err))
		}
	}
	return errors.Join(errs...)
}

// writeReports prints a line for each image, and what is to be known about them, once.
func (b *buildCmd) writeReports(c console, o order, reports []build.Report, trimmed error, took time.Duration) error {
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
			fmt.Fprintf(&images, "%9d bytes unpacked, not written (dry run)  %s", r.Raw, build.OutputName(r.Out))
		} else {
			fmt.Fprintf(&images, "%s  %9d bytes  %s", r.SHA256, r.Bytes, build.OutputName(r.Out))
		}
		if r.SecretOut != "" {
			fmt.Fprintf(&images, " and %s", build.OutputName(r.SecretOut))
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
	what := "images"
	if len(reports) == 1 {
		what = "image"
	}
	_, err := fmt.Fprintf(c.out, "%s%s%d %s, %.1f s\n", images.String(), known.String(), len(reports), what, took.Seconds())
	return err
}
