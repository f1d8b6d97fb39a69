package build

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
		if program, err := os.ReadFile(kept); err == nil && checkStatic("", program, arch) == nil {
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
	sum := sha256.Sum256([]byte(rescueTag + " " + strings.Join(rescueCommands(), " ")))
	return fmt.Sprintf("rescue-%s-%s-%s", urootVersion, arch, hex.EncodeToString(sum[:4]))
}

// keep writes a file that is there whole or not at all.
func keep(ctx context.Context, path string, data []byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	var out outputs
	defer func() { err = errors.Join(err, out.discard()) }()
	if err := out.write(ctx, path, 0o600, false, data); err != nil {
		return err
	}
	return out.commit()
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
	for _, name := range rescueCommands() {
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
