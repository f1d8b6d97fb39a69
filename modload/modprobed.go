package modload

import (
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/nodisk/nodisk/internal/cmdline"
)

// A Conf is what an administrator says of modules in modprobe.d(5). The zero
// value says nothing.
type Conf struct {
	// Lines are those that an [Index] heeds: "alias" and "softdep".
	Lines []ConfLine
	// Params are those of "options" lines in the order in which they are read.
	// Those of the command line belong after them.
	Params Params
	// Blacklist is of "blacklist" lines, and of "install" lines whose command
	// is true or false: so people write that a module must never be loaded.
	Blacklist Blacklist
	// Warnings are about lines without effect, each with file and line.
	Warnings []string
}

// A ConfLine is one line of modprobe.d, of at least three words.
type ConfLine struct {
	Words []string // the second is a name, in which wildcards may be
	Path  string   // of the file
	// Late is of a file that modprobe reads after modules.softdep: its
	// softdeps count for modules without a softdep of their own.
	Late bool
}

// A ConfFile is one file of modprobe.d.
type ConfFile struct {
	Path string // with its directory: "/etc/modprobe.d/net.conf"
	Text string
}

// ConfDirs are the directories of modprobe.d(5), the one that counts first is
// first. lib and usr/lib are often the same.
func ConfDirs() []string {
	return []string{"etc/modprobe.d", "run/modprobe.d", "usr/local/lib/modprobe.d", "usr/lib/modprobe.d",
		"lib/modprobe.d"}
}

// IsConf reports by its name whether modprobe reads a file of these directories.
func IsConf(name string) bool {
	return name[0] != '.' && (strings.HasSuffix(name, ".conf") || strings.HasSuffix(name, ".alias"))
}

// ConfFiles lists the files that [ReadConf] reads, in its order.
func ConfFiles(fsys fs.FS) []string {
	var names []string
	for _, dir := range ConfDirs() {
		entries, _ := fs.ReadDir(fsys, dir) // mostly there is none
		for _, e := range entries {
			if IsConf(e.Name()) {
				names = append(names, dir+"/"+e.Name())
			}
		}
	}
	return names
}

// ReadConf reads the directories of a file system rooted at "/". What does not exist
// or cannot be read says nothing, as with modprobe.
func ReadConf(fsys fs.FS) Conf {
	var files []ConfFile
	for _, at := range ConfFiles(fsys) {
		text, _ := fs.ReadFile(fsys, at) // a link to nowhere hides a file too
		files = append(files, ConfFile{Path: "/" + at, Text: string(text)})
	}
	return ParseConf(files)
}

// softdepFile is where modules.softdep, which modprobe reads as a file of its
// configuration, has its place in the order of names (kmod_config_new in
// libkmod/libkmod-config.c).
const softdepFile = "modules.softdep"

// ParseConf reads files. Of several with one name the first counts and hides
// the others; then the order is that of names.
func ParseConf(files []ConfFile) Conf {
	var (
		c    Conf
		list []ConfFile // sorted
	)
	// A handful of files: package sort is more code than all of this.
next:
	for _, f := range files {
		name, i := base(f.Path), len(list)
		for ; i > 0 && base(list[i-1].Path) >= name; i-- {
			if base(list[i-1].Path) == name {
				continue next
			}
		}
		list = append(list, f)
		for j := len(list) - 1; j > i; j-- {
			list[j], list[j-1] = list[j-1], list[j]
		}
	}
	for _, f := range list {
		number := 1
		for text := f.Text; text != ""; {
			line, rest, lines := wrapped(text)
			c.line(f.Path, number, line)
			text, number = rest, number+lines
		}
	}
	return c
}

// base is the last element of a path.
func base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// wrapped takes the first line off a text, with those that a backslash at the
// end joins to it. Any other backslash stands for the byte after it.
func wrapped(text string) (line, rest string, lines int) {
	var b []byte
	lines = 1
	for i := 0; i < len(text); i++ {
		c := text[i]
		if c == '\n' {
			return string(b), text[i+1:], lines
		}
		if c == '\\' && i+1 < len(text) {
			i++
			if c = text[i]; c == '\n' {
				lines++
				continue
			}
		}
		b = append(b, c)
	}
	return string(b), "", lines
}

// line reads one line. What is wrong with it becomes a warning.
func (c *Conf) line(path string, number int, line string) {
	words := strings.Fields(line)
	if len(words) == 0 || words[0][0] == '#' {
		return
	}
	at := path + ":" + strconv.Itoa(number)
	kind, problem, name := words[0], "", ""
	if len(words) > 1 {
		name = normal(words[1])
	}
	switch {
	case kind == "weakdep": // not for modprobe either: for those who make images
	case len(words) < 3 && (kind != "blacklist" || name == ""):
		problem = "not a line of modprobe.d(5), ignored"
	case kind == "alias" || kind == "softdep":
		c.Lines = append(c.Lines, ConfLine{Words: words, Path: path, Late: base(path) > softdepFile})
	case kind == "options":
		for i, arg := range cmdline.Parse(line) {
			if i >= 2 {
				c.Params = append(c.Params, Param{Module: name, Arg: arg})
			}
		}
	case kind == "install" && !never(words[2]):
		problem = "nodisk does not run the command, it loads the module itself"
	case kind == "blacklist" || kind == "install":
		c.Blacklist = append(c.Blacklist, Blacklisted{Module: name, Key: at, Never: kind == "install"})
	case kind == "remove":
		problem = "no effect, nodisk removes no modules"
	default:
		problem = "unknown to modprobe.d(5), ignored"
	}
	if problem != "" {
		c.Warnings = append(c.Warnings, at+": "+kind+" "+name+": "+problem)
	}
}

// never recognises the commands that people write after install for a module that must
// not be loaded.
func never(command string) bool {
	switch base(command) {
	case "true", "false", ":":
		return true
	}
	return false
}

// With returns the index as modprobe sees it with a configuration: aliases of
// the configuration come before modules of that name, its softdeps replace those of the
// modules. Params and Blacklist are for a [Loader].
func (x *Index) With(c Conf) *Index {
	y := *x
	y.conf = c.Lines
	return &y
}

// configured returns the modules to which the configuration leads from a
// normalised name. ok reports whether it says anything about it: then nothing
// else does. The module "off" leads nowhere.
func (x *Index) configured(name string) (modules []string, ok bool) {
	for _, l := range x.conf {
		if l.Words[0] == "alias" && match(l.Words[1], name) {
			ok = true
			if m := normal(l.Words[2]); m != "off" && !slices.Contains(modules, m) {
				modules = append(modules, m)
			}
		}
	}
	return modules, ok
}

// HasSoftdep reports whether a module has a softdep of its own.
func (x *Index) HasSoftdep(name string) bool {
	_, has := x.softs[normal(name)]
	return has
}

// softdep returns what is loaded before and after a module. One line of the
// configuration is used, as modprobe does. But it does not take away what follows
// a module because of [Companions]: a line "softdep mlx4_core post: mlx4_en",
// right where modprobe is, would end InfiniBand here.
func (x *Index) softdep(name string) (softdep, bool) {
	own, has := x.softs[name]
	for _, l := range x.conf {
		if l.Words[0] != "softdep" || !match(l.Words[1], name) {
			continue
		}
		companion := false
		for _, c := range Companions() {
			companion = companion || c.Module == name
		}
		if has && l.Late && !companion {
			continue
		}
		var s softdep
		if companion { // the capacity keeps the index as it is
			s = softdep{slices.Clip(own.pre), slices.Clip(own.post)}
		}
		s.read(l.Words[2:])
		return s, true
	}
	return own, has
}
