package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build"
	"github.com/nodisk/nodisk/build/installed"
	"github.com/nodisk/nodisk/build/kernel"
	"github.com/nodisk/nodisk/build/site"
	"github.com/nodisk/nodisk/internal/infile"
)

// A request is one image to make.
type request struct {
	spec build.Spec
	// release is that of an installed kernel that the image is made for; empty if its
	// kernel is named by flags.
	release string
	root    string // that has the kernel, absolute
}

// outs are the files that are written for it.
func (r request) outs() []string {
	return slices.DeleteFunc([]string{r.spec.Out, r.spec.SecretOut, r.spec.SBOM},
		func(name string) bool { return name == "" })
}

// An order is all that a nodisk build is to make.
type order struct {
	requests []request
	several  bool     // it is a list, whatever its length
	recorded bool     // its images go with their kernels
	notes    []string // what was passed over, and the files that were read
	warnings []string // of what looks like a mistake
	failed   []error  // of images for whose root there is no kernel; the others are made
}

// order finds out which images are wanted, from the files of the site, the list of
// --images and the command line, which counts before them. All errors are reported.
func (b *buildCmd) order(ctx context.Context, g given) (order, error) {
	var scratch buildCmd
	parser, err := imageParser(&scratch)
	if err != nil {
		return order{}, err
	}
	schema := siteSchema(parser)
	s, err := readSite(b.Site, g.has("site"), schema)
	if err != nil {
		return order{}, err
	}
	o := order{
		several: b.All || b.Image != nil || b.Images != "", recorded: b.All || b.Image != nil,
		warnings: s.Warnings,
	}
	images, common := []site.Image{{}}, s.Defaults
	switch {
	case b.Images != "":
		list, err := readList(ctx, b.Images, schema)
		if err != nil {
			return order{}, err
		}
		images, common = list.Images, schema.Merge(s.Defaults, list.Defaults)
	case b.All:
		images = s.Images
		if len(images) == 0 {
			o.notes = append(o.notes, fmt.Sprintf("no images in %s: nothing to make",
				filepath.Join(b.Site, site.ImagesDir)))
		}
	case b.Image != nil:
		if images, err = selectImages(s, b.Site, b.Image); err != nil {
			return order{}, err
		}
	}
	if s.Defaults != nil {
		o.notes = append(o.notes, "flags of "+filepath.Join(b.Site, site.DefaultsFile))
	}
	// Each setting alone first: what is wrong with it is said with its line.
	var errs []error
	try := func(settings site.Settings) {
		settings.Each(func(at site.Position, args []string) {
			if _, err := parser.Parse(args); err != nil {
				errs = append(errs, fmt.Errorf("%v: %w", at, err))
			}
		})
	}
	try(common)
	for _, image := range images {
		try(image.Settings)
	}
	if errs != nil {
		return order{}, fmt.Errorf("build: %w", errors.Join(errs...))
	}
	for i, image := range images {
		files := schema.Merge(common, image.Settings)
		w := wanted{
			image: image, files: files, settings: files.Without(g.names...), given: g, all: b.All,
			listed: b.Images != "",
		}
		requests, notes, err := w.requests(ctx)
		for n := range requests {
			spec := &requests[n].spec
			spec.Label = imageLabel(image, i)
			if len(requests) > 1 {
				spec.Label += " for " + requests[n].release
			}
			// Whatever lies there is read as a record, by clean and by the next --all.
			spec.Inputs = append(spec.Inputs, build.Input{Flag: "--state", Path: b.State})
			for _, file := range s.Files {
				spec.Inputs = append(spec.Inputs, build.Input{Flag: "--site", Path: file})
			}
		}
		if err != nil {
			err = fmt.Errorf("%s%w", imageName(image, i, b.Images), err)
			if _, ok := errors.AsType[*noKernelError](err); ok && b.All {
				o.failed = append(o.failed, fmt.Errorf("build: %w", err))
			} else {
				errs = append(errs, err)
			}
		}
		o.requests, o.notes = append(o.requests, requests...), append(o.notes, notes...)
	}
	if err := errors.Join(errs...); err != nil {
		return order{}, fmt.Errorf("build: %w", err)
	}
	return o, nil
}

// readList reads the file of --images.
func readList(ctx context.Context, file string, schema site.Schema) (site.Site, error) {
	data, err := infile.ReadFile(ctx, file)
	if err != nil {
		return site.Site{}, fmt.Errorf("build: read images: %w", err)
	}
	list, err := site.ReadList(file, data, schema)
	if err != nil {
		return site.Site{}, fmt.Errorf("build: read images:\n%w", err)
	}
	return list, nil
}

// imageLabel is what errors about the outputs of several images call one of them.
func imageLabel(image site.Image, i int) string {
	switch {
	case image.At.File == "":
		return "the image"
	case image.Name == "":
		return fmt.Sprintf("image %d (%v)", i+1, image.At)
	}
	return fmt.Sprintf("image %s (%v)", image.Name, image.At)
}

// imageName begins an error about one of several images.
func imageName(image site.Image, i int, list string) string {
	switch {
	case image.Name != "":
		return fmt.Sprintf("image %s (%s): ", image.Name, image.At.File)
	case list != "":
		return fmt.Sprintf("%v: image %d: ", image.At, i+1)
	}
	return ""
}

// A wanted is an image on its way to requests, one for each of its kernels.
type wanted struct {
	image    site.Image
	files    site.Settings // what they say
	settings site.Settings // the same without what the command line has
	given    given
	all      bool // --all
	listed   bool // of --images
}

// ownKernel reports whether the files name a kernel or modules for the image. What the command line names instead
// counts for an image that is asked for by name: with --all a hook gives the file of a kernel that has come, which is
// for the images that have none.
func (w wanted) ownKernel() bool {
	settings := w.settings
	if w.all {
		settings = w.files
	}
	_, kernel := settings.Get("kernel")
	_, modules := settings.Get("modules")
	return kernel || modules
}

// otherRoot reports whether kernels of the image are those of a root that the files name. A hook runs for the
// kernels of this machine, which do not concern such an image.
func (w wanted) otherRoot() bool {
	_, named := w.settings.Get("sysroot")
	return w.all && named
}

// requests makes the specs of an image.
func (w wanted) requests(ctx context.Context) (list []request, notes []string, err error) {
	if w.given.has("kver") && w.ownKernel() {
		switch {
		case w.all:
			note := fmt.Sprintf("image %s has a kernel of its own (%v): it is not made for others",
				w.image.Name, w.image.At)
			return nil, []string{note}, nil
		case w.image.Name != "" || w.listed:
			return nil, nil, errors.New("it has a kernel of its own: leave out --kver, or kernel: and " +
				"modules: in the file")
		}
		w.settings = w.settings.Without("kernel", "modules")
	}
	if w.given.has("kernel") || w.given.has("modules") {
		w.settings = w.settings.Without("kver")
	}
	command, err := w.parse()
	if err != nil {
		return nil, nil, err
	}
	kernels, notes, err := w.kernels(command)
	if err != nil {
		return nil, nil, err
	}
	if err := w.checkNames(command, kernels); err != nil {
		return nil, nil, err
	}
	root, err := filepath.Abs(command.root())
	if err != nil {
		return nil, nil, err
	}
	for _, k := range kernels {
		one := *command
		one.use(k)
		if err := w.expand(ctx, &one, k); err != nil {
			return nil, nil, err
		}
		spec, err := one.spec(ctx)
		if err != nil {
			return nil, nil, err
		}
		if k.Release != "" {
			spec.Release = k.Release
		}
		list = append(list, request{spec: spec, release: k.Release, root: root})
	}
	return list, notes, nil
}

// parse reads the settings and the command line as one.
func (w wanted) parse() (*buildCmd, error) {
	command := &buildCmd{}
	parser, err := imageParser(command)
	if err != nil {
		return nil, err
	}
	if _, err := parser.Parse(slices.Concat(w.settings.Args(), w.given.args)); err != nil {
		return nil, err
	}
	return command, nil
}

// use takes an installed kernel, if it is one.
func (b *buildCmd) use(k installed.Kernel) {
	if k.Release == "" {
		return
	}
	b.Modules = k.Modules
	if b.Kernel == "" {
		b.Kernel = k.File
	}
}

// outs are the names of files that a build writes.
func (b *buildCmd) outs() []*string { return []*string{&b.Out, &b.SecretOut, &b.SBOM} }

// checkNames sees to it that each image gets a name, and each kernel another one.
func (w wanted) checkNames(b *buildCmd, kernels []installed.Kernel) error {
	if _, ok := w.settings.Get("out"); !ok && !w.given.has("out") {
		switch {
		case w.image.Name != "":
			return fmt.Errorf(`it has no "out: FILE"; one with {image} and {kver} in %s is for all images`,
				site.DefaultsFile)
		case w.listed:
			return errors.New(`it has no "out: FILE"`)
		case b.KVer != nil:
			b.Out = "nodisk-{kver}.img"
		}
	}
	if len(kernels) < 2 {
		return nil
	}
	for _, name := range b.outs() {
		if *name != "" && !strings.Contains(*name, "{kver}") {
			return fmt.Errorf("%s would be written for each of %d kernels: its name needs {kver}, as in "+
				"nodisk-{kver}.img",
				*name, len(kernels))
		}
	}
	return nil
}

// expand replaces the placeholders in the names of files that are written.
func (w wanted) expand(ctx context.Context, b *buildCmd, k installed.Kernel) error {
	if !slices.ContainsFunc(b.outs(), func(name *string) bool { return strings.Contains(*name, "{") }) {
		return nil
	}
	values := map[string]string{"arch": runtime.GOARCH, "kver": k.Release}
	if w.image.Name != "" {
		values["image"] = w.image.Name
	}
	if b.Kernel != "" {
		kernel, err := kernel.Open(ctx, b.Kernel)
		if err != nil {
			return err
		}
		values["kver"] = kernel.Release
		if kernel.Arch != "" {
			values["arch"] = kernel.Arch
		}
	}
	for _, name := range b.outs() {
		if values["kver"] == "" && strings.Contains(*name, "{kver}") {
			return fmt.Errorf("%s: nothing says which kernel it is for: give its file by kernel, or kver", *name)
		}
		var err error
		if *name, err = site.Expand(*name, values); err != nil {
			return err
		}
	}
	return nil
}

// replaced warns of images that take the place of those that are remembered for another
// kernel: with a name that has no {kver}, a node boots what came last.
func (b *buildCmd) replaced(o order) (warnings []string, err error) {
	if !o.recorded {
		return nil, nil
	}
	record := site.Record{Dir: b.State}
	releases, err := record.Releases()
	if err != nil {
		return nil, err
	}
	for _, other := range releases {
		list, err := record.Of(other)
		if err != nil {
			return nil, err
		}
		for _, r := range o.requests {
			at, err := site.Place(r.spec.Out)
			if err != nil {
				return nil, err
			}
			is := func(m site.Made) bool { return m.Path == at }
			if r.release != "" && r.release != other && slices.ContainsFunc(list, is) {
				warnings = append(warnings, fmt.Sprintf("%s was the image of Linux %s, and is now that of %s: "+
					"{kver} in its name gives each kernel its own", r.spec.Out, other, r.release))
			}
		}
	}
	return warnings, nil
}
