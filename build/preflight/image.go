package preflight

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/ko"
	"github.com/nodisk/nodisk/init/plan"
	"github.com/nodisk/nodisk/modload"
)

const (
	configPath = "etc/nodisk/nodisk.conf"
	modulesDir = "lib/modules"
)

// configMax bounds the config of an image, in bytes: it holds some lines of arguments.
const configMax = 1 << 20

// Bounds of what the files of modprobe.d(5) and those that know names of hosts have together, and of their
// number: what they say takes up to a hundred times their bytes of memory.
const (
	textsMax  = 2 << 20
	textsMost = 4096
)

// An Image is what a node finds in its initramfs.
type Image struct {
	name     string
	contents initramfs.Contents
	files    fs.FS
	above    string                // what lib/modules lies in: empty, or a directory with its slash
	modules  fs.FS                 // files, or that directory of it
	facts    map[string]*ko.Module // what plain modules say of themselves, by path without links
	realPath func(at string) (string, bool)
	config   string
	ours     bool // it has a config file of nodisk's
	releases []string
	init     []byte // the beginning of /init, of an image that is not ours
}

// OpenImage reads an image that consists of one or several files. As boot loaders do, each but the last is
// padded to a multiple of four bytes.
func OpenImage(ctx context.Context, names ...string) (*Image, error) {
	var sources []*initramfs.Source
	for _, name := range names {
		s, err := initramfs.OpenSource(ctx, name)
		if err != nil {
			return nil, errors.Join(err, initramfs.JoinSources(sources...).Close())
		}
		sources = append(sources, s)
	}
	return readImage(ctx, names, initramfs.JoinSources(sources...))
}

// readImage reads what is wanted from an image, and closes it.
func readImage(ctx context.Context, names []string, whole *initramfs.Source) (_ *Image, err error) {
	defer func() { err = errors.Join(err, whole.Close()) }()
	name := strings.Join(names, " + ")
	r, err := initramfs.ReadSource(ctx, whole, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	i := &Image{name: name, contents: r.Contents, files: r.FS(), realPath: r.RealPath}
	if err := i.read(ctx, r); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return i, nil
}

// read finds the config and the modules, and takes all of it in one pass.
func (i *Image) read(ctx context.Context, r *initramfs.Reader) error {
	info, err := fs.Stat(i.files, configPath)
	i.ours = err == nil && info.Mode().IsRegular()
	if i.ours && info.Size() > configMax {
		return fmt.Errorf("read /%s: %d bytes, a config has at most %d", configPath, info.Size(), configMax)
	}
	// In an image that was made with a base /init looks there (modulesAbove in package boot).
	i.modules = i.files
	if i.has(initramfs.OwnDir + "/" + modulesDir) {
		i.above = initramfs.OwnDir + "/"
		if i.modules, err = fs.Sub(i.files, initramfs.OwnDir); err != nil {
			return err
		}
	}
	texts, err := i.texts()
	if err != nil {
		return err
	}
	load := append([]string{configPath}, texts...)
	if err := i.look(ctx, r, append(load, i.indexes()...)); err != nil {
		return err
	}
	if i.ours {
		config, err := fs.ReadFile(i.files, configPath)
		if err != nil {
			return err
		}
		i.config = string(config)
	}
	return nil
}

// texts are the files that say something about modules and names of hosts.
func (i *Image) texts() ([]string, error) {
	names := append(modload.ConfFiles(i.files), plan.HostsFile, plan.ResolvConfFile)
	if len(names) > textsMost {
		return nil, fmt.Errorf("read /%s: %d files of modprobe.d are more than any node has", names[0], len(names))
	}
	left := int64(textsMax)
	for _, name := range names {
		info, err := fs.Stat(i.files, name)
		if err != nil || !info.Mode().IsRegular() {
			continue // a link to nowhere
		}
		if left -= info.Size(); left < 0 {
			return nil, fmt.Errorf("read /%s: with it modprobe.d, /%s and /%s have more than %d MiB",
				name, plan.HostsFile, plan.ResolvConfFile, textsMax>>20)
		}
	}
	return names, nil
}

// indexes lists those of all kernels, and remembers of which there are any.
func (i *Image) indexes() []string {
	folders, _ := fs.ReadDir(i.modules, modulesDir) // an image without modules
	var names []string
	for _, f := range folders {
		at := modulesDir + "/" + f.Name()
		if _, err := fs.Stat(i.modules, at+"/modules.dep"); err == nil {
			i.releases = append(i.releases, f.Name())
		}
		files, _ := fs.ReadDir(i.modules, at) // it may be a file
		for _, f := range files {
			if strings.HasPrefix(f.Name(), "modules.") {
				names = append(names, i.above+at+"/"+f.Name())
			}
		}
	}
	slices.Sort(i.releases)
	return names
}

// Contents are what is in the image.
func (i *Image) Contents() initramfs.Contents { return i.contents }

// has reports whether a file or directory exists, links followed.
func (i *Image) has(name string) bool {
	_, err := fs.Stat(i.files, name)
	return err == nil
}

// Release is that of the only module tree in the image, empty if there is not
// exactly one.
func (i *Image) Release() string {
	if len(i.releases) == 1 {
		return i.releases[0]
	}
	return ""
}

func (i *Image) text() string {
	switch {
	case len(i.releases) == 0:
		return i.name + ", without a module tree"
	default:
		return i.name + ", modules of Linux " + strings.Join(i.releases, ", ")
	}
}

// ours reports whether nodisk's /init would run. About another one nothing is known.
func (c *checker) ours() bool {
	if c.Image.ours {
		return true
	}
	what := "it has no /init"
	if c.Image.init != nil {
		switch first, _, _ := strings.Cut(string(c.Image.init), "\n"); {
		case strings.HasPrefix(first, "#!"):
			what = "its /init is a script (" + strings.TrimSpace(first) + ")"
		case strings.HasPrefix(first, "\x7fELF"):
			what = "its /init is a program of somebody else's"
		default:
			what = "its /init is neither a script nor a program"
		}
	}
	c.fault(
		"the image is not nodisk's: there is no /%s, and %s, of which nothing is known here; make one by nodisk "+
			"build, or put nodisk into this one by nodisk build --base",
		configPath,
		what,
	)
	return false
}

// contents checks what a root in RAM needs from the image.
func (c *checker) contents() {
	if !c.Image.has("init") {
		c.fault("the image has no /init: the kernel would look for a root of its own")
	}
}
