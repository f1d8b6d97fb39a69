package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"
)

// firstSteps is what a newcomer gets who types the command alone.
const firstSteps = `nodisk makes boot images for Linux nodes without a disk, and tries them.

An image for the kernel that runs here (root by iSCSI, ext4):
  nodisk build --out node.img
Its node, booted in QEMU with a root that the lab brings along:
  nodisk boot node.img
The same with a root of your own, which is not written to, at its console:
  nodisk boot node.img --tree DIR --interactive
A root by NFS instead, for another kernel that is installed, and what there is to choose from:
  nodisk build --kver RELEASE --profile eth,nfs --out node.img
  nodisk build --list-profiles
What is in an image, and would a node boot with it:
  nodisk inspect node.img
  nodisk plan --image node.img root=dhcp ip=dhcp
The files of a boot server, of a list of nodes that you fill in:
  nodisk pxe --example >nodes.yaml
  nodisk pxe --nodes nodes.yaml --out /srv/tftp

Commands:
`

// printFirstSteps prints what to type first, and every command with a line about it.
func printFirstSteps(w io.Writer, app *kong.Application) error {
	var out strings.Builder
	out.WriteString(firstSteps)
	for _, node := range app.Children {
		if !node.Hidden {
			fmt.Fprintf(&out, "  %-10s %s\n", node.Name, node.Help)
		}
	}
	out.WriteString("nodisk --help and nodisk COMMAND --help tell more.\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// explain is an error of the command line with what to write instead.
func explain(err error) string {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || parse.Context == nil {
		return fmt.Sprintf("%v; nodisk --help tells more", err)
	}
	node := parse.Context.Selected()
	if node == nil {
		return fmt.Sprintf("%v; nodisk --help tells more", err)
	}
	command, text := "nodisk "+node.Name, err.Error()
	for _, arg := range node.Positional {
		if arg.Required && strings.Contains(text, "expected \""+arg.Summary()) {
			return fmt.Sprintf("%s: which %s? usage: nodisk %s; %s --help tells more",
				node.Name, strings.ToUpper(arg.Name), node.Summary(), command)
		}
	}
	if m := noValue.FindStringSubmatch(text); m != nil {
		text = m[1] + " needs a value"
		for _, flag := range node.Flags {
			if "--"+flag.Name == m[1] {
				text += ": " + m[1] + " " + strings.ToUpper(cmp.Or(flag.PlaceHolder, "VALUE"))
			}
		}
	}
	if m := unknownFlag.FindStringSubmatch(text); m != nil {
		if hint := elsewhere(node.Name, m[1]); hint != "" {
			text = "unknown flag " + m[1] + ": " + hint
		}
	}
	return fmt.Sprintf("%s; %s --help tells more", text, command)
}

// How kong spells a flag without its value at the end of a line, and one that there is not.
var (
	noValue     = regexp.MustCompile(`^(--\S+): expected .* value but got "EOL" \(<EOL>\)`)
	unknownFlag = regexp.MustCompile(`^unknown flag (-[^,\s]+)`)
)

// elsewhere is what to write here instead of a flag that dracut, mkinitcpio or
// initramfs-tools have; empty if there is nothing to say.
func elsewhere(command, flag string) string {
	name, _, _ := strings.Cut(flag, "=")
	return map[string]map[string]string{
		"build": {
			"--regenerate-all":  "--kver all makes an image of every kernel, --all those of the site",
			"--allpresets":      "--all makes all images of the site",
			"--preset":          "--image NAME makes one image of the site",
			"--list-modules":    "--list-profiles lists what an image may have, nodisk inspect IMAGE what one has",
			"--force":           "it is not needed: an image of the same name is replaced",
			"-f":                "it is not needed: an image of the same name is replaced",
			"--no-kernel":       "--modules none makes an image without modules",
			"--no-hostonly":     "it is so unless --hostonly or --inventory is given",
			"-H":                "--hostonly takes only what this machine has",
			"-N":                "it is so unless --hostonly or --inventory is given",
			"--add-drivers":     "--module NAME puts a module in",
			"--drivers":         "--module NAME puts a module in, --profile chooses the others",
			"--force-drivers":   "--module NAME puts a module in, nodisk.modules=NAME in --config loads it",
			"--omit-drivers":    "--profile and --inventory say which modules are taken",
			"--filesystems":     "--profile NAME, such as ext4 or xfs, has a file system's modules",
			"--include":         "--add SRC:DST puts files in",
			"--install":         "--add SRC:DST puts files in",
			"--kmoddir":         "--modules DIR is where the modules are",
			"--kernel-image":    "--kernel FILE is the kernel's file",
			"--fwdir":           "--firmware DIR is where the firmware is",
			"--early-microcode": "--microcode auto puts microcode in",
			"--kernel-cmdline":  "--config FILE holds what could be on the kernel command line",
			"--conf": "--config FILE holds what could be on the kernel command line, and " + defaultSite +
				" flags of every build",
			"--confdir":     "--site DIR holds flags of every build",
			"--gzip":        "--compress gzip",
			"--xz":          "--compress xz",
			"--zstd":        "--compress zstd",
			"--lz4":         "--compress lz4",
			"--no-compress": "--compress none",
			"--generate":    "--out FILE is the image",
			"-k":            "--kver RELEASE is the kernel's release",
			"-u":            "it is not needed: an image of the same name is replaced",
			"-d":            "nodisk clean --kver RELEASE removes the images of a kernel",
		},
		"inspect": {
			"--size": "--tree prints the sizes",
			"-s":     "--tree prints the sizes",
			"--kver": "give the image's file",
			"-k":     "give the image's file",
			"-l":     "it is not needed: files are listed",
			"--list": "it is not needed: files are listed",
			"--mod":  "it is not needed: modules and profiles are listed",
		},
	}[command][name]
}

// repeated names the flags of one value that are given several: the last one counts, as wrappers of
// the command rely on, but nobody shall wonder where the others have gone.
func repeated(line *kong.Context) (warnings []string) {
	count := make(map[*kong.Flag]int)
	for _, p := range line.Path {
		if p.Flag == nil || p.Resolved || p.Flag.IsCumulative() || p.Flag.IsBool() || p.Flag.IsCounter() {
			continue
		}
		if count[p.Flag]++; count[p.Flag] == 2 {
			warnings = append(warnings,
				fmt.Sprintf("--%s takes one value, and is given more than once: the last one counts", p.Flag.Name))
		}
	}
	return warnings
}

// helpCmd is "nodisk help", for those who type it so.
type helpCmd struct {
	Command []string `arg:"" optional:"" help:"Command to explain."`
}

// Run prints what --help would.
func (h *helpCmd) Run(c console) error {
	if status := run(append(h.Command, "--help"), c.out, c.err); status != 0 {
		return exitStatus(status) // it has been said why
	}
	return nil
}
