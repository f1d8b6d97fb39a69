package preflight

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build"
)

const (
	configPath = "etc/nodisk/nodisk.conf"
	modulesDir = "lib/modules"
)

// An Image is what a node finds in its initramfs.
type Image struct {
	name     string
	files    *rootFS
	modules  fs.FS // what lib/modules lies in: files, or a folder of it
	config   string
	ours     bool // it has a config file of nodisk's
	releases []string
}

// A Part is one of the files that a boot loader puts one behind the other.
type Part struct {
	Name string
	io.Reader
}

// ReadImage reads an image that consists of one or several files. As boot loaders
// do, each but the last is padded to a multiple of four bytes.
func ReadImage(parts ...Part) (*Image, error) {
	var (
		whole bytes.Buffer
		names []string
	)
	for _, p := range parts {
		whole.Write(make([]byte, -whole.Len()&3))
		if _, err := whole.ReadFrom(io.LimitReader(p, imageMax)); err != nil {
			return nil, fmt.Errorf("read image %s: %w", p.Name, err)
		}
		names = append(names, p.Name)
	}
	name := strings.Join(names, " + ")
	files, _, err := build.ReadImage(&whole)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	i := &Image{name: name, files: newRootFS(files)}
	config, err := i.files.ReadFile(configPath)
	i.ours, i.config = err == nil, string(config)
	// In an image that was made with a base /init looks there (modulesAbove in package boot).
	i.modules = i.files
	if i.files.has(build.OwnDir + "/" + modulesDir) {
		if i.modules, err = fs.Sub(i.files, build.OwnDir); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	folders, _ := fs.ReadDir(i.modules, modulesDir) // an image without modules
	for _, f := range folders {
		if _, err := fs.Stat(i.modules, modulesDir+"/"+f.Name()+"/modules.dep"); err == nil {
			i.releases = append(i.releases, f.Name())
		}
	}
	slices.Sort(i.releases)
	return i, nil
}

// imageMax bounds one file; build.ReadImage bounds the whole.
const imageMax = 1 << 30

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

// ours tells whether nodisk's /init would run. Of another nothing is known.
func (c *checker) ours() bool {
	if c.Image.ours {
		return true
	}
	what := "it has no /init"
	if data, err := c.Image.files.ReadFile("init"); err == nil {
		switch first, _, _ := strings.Cut(string(data[:min(len(data), 80)]), "\n"); {
		case strings.HasPrefix(first, "#!"):
			what = "its /init is a script (" + strings.TrimSpace(first) + ")"
		case strings.HasPrefix(first, "\x7fELF"):
			what = "its /init is a program of somebody else's"
		default:
			what = "its /init is neither a script nor a program"
		}
	}
	c.fault("the image is not nodisk's: there is no /%s, and %s, of which nothing is known here; make one by nodisk build, or put nodisk into this one by nodisk build --base", configPath, what)
	return false
}

// contents checks what a root in RAM needs of the image.
func (c *checker) contents() {
	if !c.Image.files.has("init") {
		c.fault("the image has no /init: the kernel would look for a root of its own")
	}
}
