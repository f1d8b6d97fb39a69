package cmdline

import (
	"fmt"
	"strings"
)

// A KeyState is what nodisk makes of a key of the command line. The zero value is
// invalid.
type KeyState int

// The states.
const (
	KeyDone      KeyState = iota + 1 // it does what the key's manual says
	KeyNotNeeded                     // what the key asks for is so in any case
	KeyForeign                       // the business of somebody else, of whom nothing is expected
	KeyInstead                       // without effect, which is a warning; something else is to be written
	KeyRefused                       // an error; something else is to be written
	KeyLater                         // of the grammar, and not built yet
)

// String is the state as docs/cmdline.md has it.
func (s KeyState) String() string {
	switch s {
	case KeyDone:
		return "done"
	case KeyNotNeeded:
		return "not needed"
	case KeyForeign:
		return "passed over"
	case KeyInstead:
		return "without effect"
	case KeyRefused:
		return "an error"
	case KeyLater:
		return "later"
	}
	return fmt.Sprintf("KeyState(%d)", int(s))
}

// A Key is a word of the command line that is known, of nodisk's own grammar or of
// the manuals that people have written their command lines by.
type Key struct {
	// Name is the key. One that ends in ".*" stands for all that begin so and are not
	// known by themselves.
	Name  string
	State KeyState
	// Why is the reason, and what to write instead.
	Why string
	// As is the key that this one is another name of.
	As string
	// Quiet are values with which a key asks for nothing, separated by spaces.
	Quiet string
	// Network: who writes the key wants a network for the boot.
	Network bool
	// From is the manual that has it, empty for nodisk's own.
	From string
	// Example is an argument with the key that can be used.
	Example string
}

// The manuals that people have written their command lines by.
const (
	ByKernel    = "nfsroot.rst"
	ByDracut    = "dracut.cmdline(7)"
	ByTools     = "initramfs-tools(7)"
	ByOpenISCSI = "open-iscsi's README.Debian"
	ByUdev      = "systemd.net-naming-scheme(7)"
	BySystemd   = "kernel-command-line(7)"
	ByNM        = "nm-initrd-generator(8)"
	ByKickstart = "anaconda, and its kickstart"
	ByLive      = "casper, live-boot, MAAS"
	ByHabit     = "no manual"
	ByImages    = "xCAT, Warewulf, anaconda, CoreOS, Arch"
)

// KeyRows makes keys of one manual, state and reason of examples, which are separated by spaces.
func KeyRows(from string, state KeyState, why, examples string) []Key {
	var list []Key
	for example := range strings.FieldsSeq(examples) {
		name, _, _ := strings.Cut(example, "=")
		list = append(list, Key{Name: name, State: state, Why: why, From: from, Example: strings.ReplaceAll(example,
			"*", "x")})
	}
	return list
}

// QuietKeys are keys that ask for nothing with some values.
func QuietKeys(values string, list []Key) []Key {
	for i := range list {
		list[i].Quiet = values
	}
	return list
}

// NetworkKeys are keys whose writer wants a network for the boot.
func NetworkKeys(list []Key) []Key {
	for i := range list {
		list[i].Network = true
	}
	return list
}
