package initramfs

import (
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
	return []Part{
		PartTree, PartConfig, PartAdded, PartRescue, PartFirmware, PartIndexes, PartModules, PartInit,
		PartSecret, PartMicrocode,
	}
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

// partOf tells what a file of a finished image is for, by its name.
func partOf(name string, mode uint32) Part {
	name = ownName(name)
	if strings.HasPrefix(name, "usr/lib/") { // where /lib is a link
		name = strings.TrimPrefix(name, "usr/")
	}
	in, inModules := strings.CutPrefix(name, ModulesDir+"/")
	switch {
	case mode&TypeMask == TypeDir, mode&TypeMask == TypeChar, mode&TypeMask == TypeBlock:
		return PartTree
	case name == InitPath:
		return PartInit
	case inModules && strings.Contains(path.Base(in), ".ko"):
		return PartModules
	case inModules && strings.HasPrefix(path.Base(in), "modules."):
		return PartIndexes
	case strings.HasPrefix(name, "lib/firmware/"):
		return PartFirmware
	case strings.HasPrefix(name, MicrocodeDir+"/"):
		return PartMicrocode
	case name != ConfigPath && mode == TypeFile|SecretMode:
		return PartSecret
	case strings.HasPrefix(name, "etc/nodisk/"), strings.HasPrefix(name, ModprobeDir+"/"):
		return PartConfig
	default:
		return PartAdded
	}
}

// A PartSize sums up one part of an image.
type PartSize struct {
	Part  Part
	Files int
	Bytes int64 // uncompressed, without the archive's headers
}

// SortParts lists parts, the last of an image first.
func SortParts(sizes map[Part]PartSize) []PartSize {
	var list []PartSize
	for _, p := range slices.Backward(parts()) {
		if s, ok := sizes[p]; ok {
			list = append(list, s)
		}
	}
	return list
}
