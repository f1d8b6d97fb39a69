package initramfs

import (
	"path"
	"strings"
)

// CleanName is a path in the image as the archive spells it: "/a//b/../c"
// becomes "a/c", "/" becomes "".
func CleanName(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// OwnDir is the directory of an image with a base in which nodisk's lib/modules lies.
const OwnDir = "nodisk"

// ownName is the path of a file of ours as it is without a base.
func ownName(name string) string { return strings.TrimPrefix(name, OwnDir+"/") }

// Where things lie in an image.
const (
	InitPath   = "init"
	ConfigPath = "etc/nodisk/nodisk.conf"
	ModulesDir = "lib/modules"
)

// Where the kernel looks for microcode before it unpacks anything
// (Documentation/arch/x86/microcode.rst, "Early load microcode").
const (
	MicrocodeDir = "kernel/x86/microcode"
	IntelBlob    = MicrocodeDir + "/GenuineIntel.bin"
	AMDBlob      = MicrocodeDir + "/AuthenticAMD.bin"
)

// ModprobeDir is where the files of Spec.Modprobe lie in an image.
const ModprobeDir = "etc/modprobe.d"

// Permissions of secrets. /init and the root it starts are root.
const (
	SecretMode    = 0o600
	SecretDirMode = 0o700
	SecretDir     = "etc/nodisk"
)
