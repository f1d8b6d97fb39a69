package build

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/nodisk/nodisk/build/initramfs"
	"github.com/nodisk/nodisk/build/program"
	"github.com/nodisk/nodisk/internal/cmdline"
)

// Where the rescue shell lies in an image. /init starts bin/sh.
const (
	rescueDir   = "bin"
	rescueShell = "bin/sh"
)

// rescueAliases are names that administrators expect and u-root does not have,
// as the shell's scripts.
func rescueAliases() map[string]string {
	return map[string]string{
		"sha256sum": `shasum -a 256 "$@"`,
		"lspci":     `pci "$@"`,
		"nc":        `netcat "$@"`,
	}
}

// initNames are the commands that /init answers to.
func initNames() []string { return []string{"modprobe", "reboot", "halt", "poweroff"} }

// busyboxApplets are linked where the rescue shell is a busybox that has them. Not
// init, and nothing that a root's own /sbin/init could be taken for.
func busyboxApplets() []string {
	return strings.Fields(`ash awk basename blkid cat chmod chroot clear cmp cp cut date dd df dirname
		dmesg du echo egrep env expr false fdisk find free fuser grep gunzip gzip halt head hexdump
		hostname hwclock id insmod ip kill killall less ln losetup ls lsmod lspci md5sum mkdir
		mknod more mount mv nc netstat nslookup pgrep pidof ping ping6 poweroff printf ps pwd
		readlink realpath reboot rm rmdir rmmod route sed seq setsid sh sha256sum sleep sort stat strings
		stty sync tail tar tee telnet test tftp time top touch tr traceroute true umount uname uniq
		uptime vi watch wc wget which xargs xxd zcat`)
}

// rescue are the files of the image's rescue shell, if it has one.
func (s Spec) rescue(ctx context.Context, arch string) ([]initramfs.Entry, error) {
	if s.Rescue == nil {
		return nil, nil
	}
	program, err := s.Rescue(ctx, arch)
	if err != nil {
		return nil, err
	}
	return rescueFiles(program, arch)
}

// rescueFiles are the files of a rescue shell. Program is what [program.CompileRescue]
// returns, a busybox, or any other shell; it must be static.
func rescueFiles(static []byte, arch string) ([]initramfs.Entry, error) {
	if err := program.CheckStatic("the rescue shell", static, arch); err != nil {
		return nil, err
	}
	binary := func(name string) initramfs.Entry {
		return initramfs.Entry{
			Name: path.Join(rescueDir, name),
			Mode: initramfs.TypeFile | 0o755,
			Data: static,
			Part: initramfs.PartRescue,
		}
	}
	link := func(name, target string) initramfs.Entry {
		return initramfs.Entry{
			Name: path.Join(rescueDir, name),
			Mode: initramfs.TypeLink | 0o777,
			Data: []byte(target),
			Part: initramfs.PartRescue,
		}
	}
	// /init answers as modprobe: it knows softdeps, aliases and parameters. And it tells
	// PID 1 to end the machine, which saves what has been written first.
	var files []initramfs.Entry
	for _, name := range initNames() {
		// From the top: /bin may be a link into /usr.
		files = append(files, link(name, "/"+initramfs.InitPath))
	}
	switch {
	case bytes.Contains(static, []byte(program.RescueMark)):
		// It follows links to the last but one, which tells it the command.
		files = append(files, binary("bb"), link("sh", "gosh"))
		for _, name := range program.RescueCommands() {
			if bytes.Contains(static, []byte(program.URootCommands+name+".registeredMain")) {
				files = append(files, link(name, "bb"))
			}
		}
		for name, text := range rescueAliases() {
			text = "#!/" + rescueShell + "\n" + text + "\n"
			files = append(files, initramfs.Entry{
				Name: path.Join(rescueDir, name), Mode: initramfs.TypeFile | 0o755, Data: []byte(text),
				Part: initramfs.PartRescue,
			})
		}
	case bytes.Contains(static, []byte("BusyBox v")):
		files = append(files, binary("busybox"))
		for _, name := range busyboxApplets() {
			// The names of its applets lie one after the other, each ended by NUL.
			if bytes.Contains(static, []byte("\x00"+name+"\x00")) && !slices.Contains(initNames(), name) {
				files = append(files, link(name, "busybox"))
			}
		}
		if !slices.ContainsFunc(files, func(f initramfs.Entry) bool { return f.Name == rescueShell }) {
			return nil, errors.New("check the rescue shell: this busybox has no applet sh; take another")
		}
	default:
		files = append(files, binary("sh"))
	}
	slices.SortFunc(files, func(a, b initramfs.Entry) int { return cmp.Compare(a.Name, b.Name) })
	return files, nil
}

// shellMissed is about an image in which /bin may be a link of what was added.
func (b *builder) shellMissed(config cmdline.Args, files []initramfs.Entry) []string {
	if at, _, err := b.links.Lookup(rescueShell, false); err == nil &&
		slices.ContainsFunc(files, func(f initramfs.Entry) bool { return f.Name == at }) {
		return nil
	}
	return shellMissed(config, files)
}

// shellMissed tells what in the config asks for a shell that the image lacks.
func shellMissed(config cmdline.Args, files []initramfs.Entry) []string {
	if slices.ContainsFunc(files, func(f initramfs.Entry) bool { return f.Name == rescueShell }) {
		return nil
	}
	var warnings []string
	missed := func(what string) {
		warnings = append(warnings, fmt.Sprintf("%s in the config asks for a shell, but the image has no "+
			"/%s: add --rescue", what, rescueShell))
	}
	if config.Has("rd.break") {
		missed("rd.break")
	}
	word, said := config.Last("nodisk.onfail")
	if on, err := config.Bool("rd.shell", false); !said && err == nil && on {
		missed("rd.shell")
	}
	if word == "shell" {
		missed("nodisk.onfail=shell")
	}
	return warnings
}
