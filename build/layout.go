package build

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"
)

// A Part is what a file of the image is for: the lines of the summary.
type Part uint8

// The parts of an image.
const (
	PartTree      Part = iota + 1 // folders and device nodes
	PartConfig                    // etc/nodisk
	PartAdded                     // what --add put in
	PartRescue                    // the rescue shell
	PartFirmware                  // lib/firmware
	PartIndexes                   // modules.dep and the like
	PartModules                   // *.ko
	PartInit                      // /init
	PartSecret                    // what only root may read
	PartMicrocode                 // for the processors, before all else
)

// parts lists all in the order in which they lie in the image: alike beside
// alike, which helps every compression.
func parts() []Part {
	return []Part{PartTree, PartConfig, PartAdded, PartRescue, PartFirmware, PartIndexes, PartModules, PartInit,
		PartSecret, PartMicrocode}
}

// String names the part.
func (p Part) String() string {
	switch p {
	case PartTree:
		return "directories and devices"
	case PartConfig:
		return "config"
	case PartAdded:
		return "added files"
	case PartRescue:
		return "rescue shell"
	case PartFirmware:
		return "firmware"
	case PartIndexes:
		return "module indexes"
	case PartModules:
		return "modules"
	case PartInit:
		return "/init"
	case PartSecret:
		return "secrets"
	case PartMicrocode:
		return "microcode"
	}
	return fmt.Sprintf("Part(%d)", uint8(p))
}

// Where things lie in an image.
const (
	initPath   = "init"
	configPath = "etc/nodisk/nodisk.conf"
	modulesDir = "lib/modules"
)

// Types of files in st_mode, inode(7).
const (
	typeMask   = 0o170000
	typeFIFO   = 0o010000
	typeChar   = 0o020000
	typeDir    = 0o040000
	typeBlock  = 0o060000
	typeFile   = 0o100000
	typeLink   = 0o120000
	typeSocket = 0o140000
)

// A file is one file of an image to be.
type file struct {
	name         string  // without a slash at the beginning or the end
	mode         uint32  // type and permissions
	data         []byte  // content, or the target of a link
	source       *source // content that is read when the image is written; data is nil then
	uid, gid     uint32
	group        int    // files of one group that is not 0 are names of one inode
	major, minor uint32 // of a device
	part         Part
}

// skeleton are the directories and nodes every image has. /init mounts on most of
// them; /dev/console must be there before: the kernel opens it for PID 1
// (init/main.c, console_on_rootfs), and says nothing if it is missing.
func skeleton() []file {
	dir := func(name string, perm uint32) file {
		return file{name: name, mode: typeDir | perm, part: PartTree}
	}
	return []file{
		dir("bin", 0o755), dir("dev", 0o755), dir("etc", 0o755), dir("proc", 0o555), dir("root", 0o700), dir("run",
			0o755),
		dir("sbin", 0o755), dir("sys", 0o555), dir("sysroot", 0o755), dir("tmp", 0o1777), dir("var", 0o755),
		{name: "dev/console", mode: typeChar | 0o600, major: 5, minor: 1, part: PartTree},
		{name: "dev/null", mode: typeChar | 0o666, major: 1, minor: 3, part: PartTree},
	}
}

// layout puts files into the order of the archive: directories before what is in
// them, parts one after the other, names sorted. Directories that nobody listed are
// added. A file that an administrator added replaces one of the same name, also one that was
// added before it. The names of one inode stay together, see split.
func layout(files []file) ([]file, error) {
	byName := make(map[string]file, len(files))
	for _, f := range files {
		old, twice := byName[f.name]
		switch {
		case !twice:
		case old.mode&typeMask == typeDir && f.mode&typeMask == typeDir:
		case f.part != PartAdded:
			return nil, fmt.Errorf("lay out image: /%s is there twice (%v and %v)", f.name, old.part, f.part)
		case (old.mode&typeMask == typeDir) != (f.mode&typeMask == typeDir):
			return nil, fmt.Errorf("lay out image: /%s cannot be both a directory and a file", f.name)
		}
		byName[f.name] = f
	}
	for _, f := range files {
		for dir := path.Dir(f.name); dir != "."; dir = path.Dir(dir) {
			parent, ok := byName[dir]
			if !ok {
				byName[dir] = file{name: dir, mode: typeDir | 0o755, part: PartTree}
			} else if parent.mode&typeMask != typeDir {
				return nil, fmt.Errorf("lay out image: /%s needs /%s as a directory, but that is a file", f.name, dir)
			}
		}
	}
	list := make([]file, 0, len(byName))
	for _, f := range byName {
		list = append(list, f)
	}
	// All directories first: then every file finds its own.
	rank := func(f file) int {
		if f.mode&typeMask == typeDir {
			return -1
		}
		return slices.Index(parts(), f.part)
	}
	first := make(map[int]string) // name of each group
	for _, f := range list {
		if name, ok := first[f.group]; !ok || f.name < name {
			first[f.group] = f.name
		}
	}
	leader := func(f file) string {
		if f.group == 0 {
			return f.name
		}
		return first[f.group]
	}
	slices.SortFunc(list, func(a, b file) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(leader(a), leader(b)),
			strings.Compare(a.name, b.name))
	})
	return list, nil
}

// partOf tells what a file of a finished image is for, by its name.
func partOf(name string, mode uint32) Part {
	name = ownName(name)
	if strings.HasPrefix(name, "usr/lib/") { // where /lib is a link
		name = strings.TrimPrefix(name, "usr/")
	}
	in, inModules := strings.CutPrefix(name, modulesDir+"/")
	switch {
	case mode&typeMask == typeDir, mode&typeMask == typeChar, mode&typeMask == typeBlock:
		return PartTree
	case name == initPath:
		return PartInit
	case inModules && strings.Contains(path.Base(in), ".ko"):
		return PartModules
	case inModules && strings.HasPrefix(path.Base(in), "modules."):
		return PartIndexes
	case strings.HasPrefix(name, "lib/firmware/"):
		return PartFirmware
	case strings.HasPrefix(name, microcodeDir+"/"):
		return PartMicrocode
	case name != configPath && mode == typeFile|secretMode:
		return PartSecret
	case strings.HasPrefix(name, "etc/nodisk/"), strings.HasPrefix(name, modprobeDir+"/"):
		return PartConfig
	default:
		return PartAdded
	}
}
