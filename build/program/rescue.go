package program

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/u-root/gobusybox/src/pkg/golang"
	"github.com/u-root/mkuimage/uimage"
	"github.com/u-root/uio/llog"

	"github.com/nodisk/nodisk/build/output"
)

// rescueTag selects the editor of lines of gosh: that which is none does not survive
// a syntax error, and the default one asks the terminal for its colours and waits for
// an answer that a serial line does not give.
const rescueTag = "goshliner"

// CompileRescue has u-root's mkuimage compile the rescue shell, u-root's gosh and
// core commands in one static binary, for an architecture ("amd64"; empty: this
// one). The source is the Go module of which nodisk uses other parts; the go
// command finds it in its module cache, or downloads and verifies it. The binary is
// kept in the directory cache (empty: it is not), one for each architecture, and not
// compiled again.
func CompileRescue(ctx context.Context, cache, arch string) ([]byte, error) {
	arch = cmp.Or(arch, runtime.GOARCH)
	kept := ""
	if cache != "" {
		kept = filepath.Join(cache, rescueName(arch))
		if program, err := os.ReadFile(kept); err == nil && CheckStatic("", program, arch) == nil {
			return program, nil
		}
	}
	program, err := compileRescue(ctx, arch)
	if err != nil {
		return nil, fmt.Errorf("compile the rescue shell: %w", err)
	}
	if kept != "" {
		_ = keep(ctx, kept, program) // where that cannot be, it is compiled each time
	}
	return program, nil
}

// rescueName is the name of a binary in the cache: all that decides about it but the
// Go toolchain, for which nobody shall wait again.
func rescueName(arch string) string {
	sum := sha256.Sum256([]byte(rescueTag + " " + strings.Join(RescueCommands(), " ")))
	return fmt.Sprintf("rescue-%s-%s-%s", urootVersion, arch, hex.EncodeToString(sum[:4]))
}

// keep writes a file that is there whole or not at all.
func keep(ctx context.Context, path string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var out output.Set
	defer func() { err = errors.Join(err, out.Discard()) }()
	if err := out.Write(ctx, path, 0o600, false, data); err != nil {
		return err
	}
	return out.Commit()
}

func compileRescue(ctx context.Context, arch string) ([]byte, error) {
	source, err := moduleDir(ctx, urootModule, urootVersion)
	if err != nil {
		return nil, err
	}
	goroot, err := goRoot(ctx, source)
	if err != nil {
		return nil, err
	}
	temp, err := os.MkdirTemp("", "nodisk-rescue-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(temp) //nolint:errcheck // left-overs of a temporary directory
	var commands []string
	for _, name := range RescueCommands() {
		commands = append(commands, filepath.Join(source, "cmds", "core", name))
	}
	archive := filepath.Join(temp, "rescue.cpio")
	quiet := llog.New(llog.Default().Level, func(string, ...any) {})
	err = uimage.Create(quiet,
		uimage.WithEnv(
			golang.DisableCGO(), golang.WithGOOS("linux"), golang.WithGOARCH(arch), golang.WithBuildTag(rescueTag),
			golang.WithGOROOT(goroot), golang.WithWorkingDir(source)),
		uimage.WithTempDir(temp),
		uimage.WithSkipLDD(),
		// As in CompileInit: not everything again.
		uimage.WithBusyboxBuildOpts(&golang.BuildOpts{ExtraArgs: []string{"-a=false", "-buildvcs=false"}}),
		uimage.WithBusyboxCommands(commands...),
		uimage.WithCPIOOutput(archive))
	if err != nil {
		return nil, fmt.Errorf("compile commands of %s: %w", source, err)
	}
	program, err := binaryOf(archive, "bbin/bb")
	if err != nil {
		return nil, err
	}
	return program, ctx.Err()
}

// moduleDir asks the go command for the source of a Go module.
func moduleDir(ctx context.Context, module, version string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", "mod", "download", "-json", module+"@"+version)
	cmd.Dir = os.TempDir() // in no other module
	out, err := cmd.Output()
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("no go command in PATH; install Go, or give a static busybox by --rescue=FILE")
	}
	var answer struct{ Dir, Error string }
	if jsonErr := json.Unmarshal(out, &answer); answer.Error != "" || err != nil || jsonErr != nil {
		why := cmp.Or(answer.Error, fmt.Sprint(errors.Join(err, jsonErr)))
		return "", fmt.Errorf("download the Go module %s %s: %s; without a network give a static busybox by "+
			"--rescue=FILE", module, version, why)
	}
	return answer.Dir, nil
}

// RescueCommands are those of u-root that make up the rescue shell's program:
// what somebody needs at night on a node without a disk. gosh is its shell.
func RescueCommands() []string {
	return strings.Fields(`gosh
		basename cat chmod chroot cp date dd df dirname dmesg du echo false find free
		grep gzip head hexdump hostname insmod ip kill ln losetup ls lsmod md5sum mkdir
		mknod more mount mv netcat netstat pci pidof ping ps pwd readlink rm rmmod
		seq shasum sleep sort strings stty sync tail tar tee touch tr true
		umount uname uniq uptime wc wget which xargs blkid`)
}

// RescueMark is in every busybox of Go that gobusybox made: the path of its main
// package. URootCommands is where u-root's commands are.
const (
	RescueMark    = "bb.u-root.com/bb"
	urootModule   = "github.com/u-root/u-root"
	urootVersion  = "v0.16.0" // as in go.mod
	URootCommands = urootModule + "/cmds/core/"
)
