package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/nodisk/nodisk/build/output"
	"github.com/nodisk/nodisk/build/site"
)

// Where the files of a site are, and what was made of them.
const (
	defaultSite  = "/etc/nodisk"
	defaultState = "/var/lib/nodisk/images"
	noSite       = "none"
)

// siteFlags are the flags of nodisk build for which kernels and which images.
type siteFlags struct {
	KVer    []string `help:"Kernel that is installed, by its release: finds the kernel's file and its modules; all: every one; repeatable. Default: the one that runs." name:"kver" placeholder:"RELEASE|all"`
	Sysroot string   `help:"Find kernels and modules in this root instead of /." type:"existingdir" placeholder:"DIR"`
	All     bool     `help:"Make all images of the site (images.d/*.yaml), for all kernels that are installed or those of --kver." xor:"images"`
	Image   []string `help:"Make one image of the site, by the name of its file; repeatable." placeholder:"NAME" xor:"images"`
	Site    string   `help:"Directory of the site's files: build.yaml, flags of all builds, and images.d; none: no such files." default:"${site}" placeholder:"DIR"`
	State   string   `help:"Directory that remembers which images of the site were made for which kernel, for nodisk clean." default:"${state}" placeholder:"DIR"`
	DryRun  bool     `help:"Decide everything, say what would be in the image, and write nothing."`
	Quiet   bool     `help:"Print warnings and errors only." short:"q"`
	JSON    bool     `help:"Print the summary as JSON." name:"json"`

	ListProfiles bool `help:"List the profiles, with what each takes from the kernel, and make nothing."`
}

// vars are what help texts and defaults of flags refer to.
func vars() kong.Vars {
	return kong.Vars{"profiles": defaultProfiles, "site": defaultSite, "state": defaultState, "version": versionText()}
}

// commandLineOnly are flags of nodisk build that do not belong to an image.
func commandLineOnly() []string {
	return []string{
		"all", "dry-run", "help", "image", "images", "json", "list-profiles", "no-cache", "quiet", "secret-only",
		"site", "state", "tree",
	}
}

// pathFlags are the flags that name files, with the values that are not paths.
func pathFlags() map[string][]string {
	return map[string][]string{
		"add": nil, "base": nil, "config": nil, "firmware": {"none"}, "from-source": nil, "init": nil,
		"inventory": {"host"},
		"kernel":    nil, "microcode": {"auto"}, "modprobe": {"host"}, "module-dir": nil, "modules": {"none"},
		"out":    {output.Stdout},
		"rescue": nil, "sbom": {output.Stdout}, "secret": nil, "secret-out": {output.Stdout}, "sysroot": nil,
	}
}

// imageParser reads the flags of one image into b.
func imageParser(b *buildCmd) (*kong.Kong, error) {
	return kong.New(b, kong.Name("image"), vars(), kong.Exit(func(int) {}))
}

// siteSchema is what the files of a site may set: the flags of nodisk build.
func siteSchema(parser *kong.Kong) site.Schema {
	schema, paths := make(site.Schema), pathFlags()
	for _, flag := range parser.Model.Flags {
		words, isPath := paths[flag.Name]
		schema[flag.Name] = site.Key{
			CommandLine: slices.Contains(commandLineOnly(), flag.Name),
			Repeatable:  flag.Target.Kind() == reflect.Slice,
			Switch:      flag.IsBool(),
			Valued:      flag.Target.Kind() != reflect.Bool,
			Path:        isPath, Words: words,
		}
	}
	return schema
}

// A given is what the command line of nodisk build says.
type given struct {
	args  []string // without the command
	names []string // flags that it has
	off   []string // of them, switches that it turns off (--tree=false)
}

func givenOf(line *kong.Context) given {
	g := given{args: slices.Clone(line.Args)}
	if i := slices.Index(g.args, "build"); i >= 0 {
		g.args = slices.Delete(g.args, i, i+1)
	}
	for _, p := range line.Path {
		if p.Flag != nil && !p.Resolved {
			g.names = append(g.names, p.Flag.Name)
			if p.Flag.Target.Kind() == reflect.Bool && !p.Flag.Target.Bool() {
				g.off = append(g.off, p.Flag.Name)
			}
		}
	}
	return g
}

func (g given) has(name string) bool { return slices.Contains(g.names, name) }

// asks reports whether the command line has a flag that it does not turn off.
func (g given) asks(name string) bool { return g.has(name) && !slices.Contains(g.off, name) }

// readSite reads the files of the site. That its default directory is missing is not an error.
func readSite(dir string, named bool, schema site.Schema) (site.Site, error) {
	if dir == noSite {
		return site.Site{}, nil
	}
	if _, err := os.Stat(dir); err != nil && named {
		return site.Site{}, fmt.Errorf("build: read the files of the site: %w", err)
	}
	s, err := site.Read(os.DirFS(dir), dir, schema)
	if err != nil {
		return site.Site{}, fmt.Errorf("build: read the files of the site:\n%w", err)
	}
	return s, nil
}

// selectImages finds images of the site by name.
func selectImages(s site.Site, dir string, names []string) ([]site.Image, error) {
	var list []site.Image
	known := make([]string, 0, len(s.Images))
	for _, image := range s.Images {
		known = append(known, image.Name)
	}
	for _, name := range names {
		i := slices.Index(known, name)
		if i < 0 {
			there := "there are none"
			if len(known) > 0 {
				there = "there are " + strings.Join(known, ", ")
			}
			for _, warning := range s.Warnings {
				there += "; " + warning
			}
			return nil, fmt.Errorf("build: no image %q in %s/%s: %s", name, dir, site.ImagesDir, there)
		}
		list = append(list, s.Images[i])
	}
	return list, nil
}
